import type { ReactNode } from "react";
import { cx } from "./cx";

export interface Column<T> {
  header: string;
  cell: (row: T) => ReactNode;
  /** Numbers stand at the right. */
  numeric?: boolean;
  /** Buttons stand at the right; what they say needs no header but for who cannot see them. */
  buttons?: boolean;
  className?: string;
}

export interface TableProps<T> {
  /** What the table holds, for who cannot see it. */
  label: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  keyOf: (row: T) => string;
}

/** A table of few rows; long lists are virtual instead. */
export function Table<T>({ label, columns, rows, keyOf }: TableProps<T>) {
  return (
    <div role="region" aria-label={label} tabIndex={0} className="relative overflow-x-auto">
      <table className="w-full text-left text-sm">
        <thead className="text-xs text-muted">
          <tr className="border-b border-line">
            {columns.map((column) => (
              <th
                key={column.header}
                scope="col"
                className={cx("h-9 px-4 font-medium whitespace-nowrap", column.numeric && "text-right")}
              >
                {column.buttons ? <span className="sr-only">{column.header}</span> : column.header}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)} className="border-b border-line last:border-0 hover:bg-hover">
              {columns.map((column) => (
                <td
                  key={column.header}
                  className={cx(
                    "px-4 py-2",
                    column.numeric && "text-right tabular-nums",
                    column.buttons && "text-right",
                    column.className,
                  )}
                >
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
