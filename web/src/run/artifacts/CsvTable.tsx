import { useMemo } from "react";
import { rowsOfCsv } from "./csv";

const MOST_ROWS = 200;

/** A CSV file as a table; its first row is the head. */
export function CsvTable({ text }: { text: string }) {
  const [head = [], ...rows] = useMemo(() => rowsOfCsv(text, MOST_ROWS + 2), [text]);
  return (
    <div
      tabIndex={0}
      role="region"
      aria-label="Table"
      className="overflow-auto rounded-md border border-line"
    >
      <table className="w-full border-collapse text-xs">
        <thead className="bg-sunken text-left">
          <tr>
            {head.map((cell, place) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: two columns may have the same name.
              <th key={place} scope="col" className="px-2.5 py-1.5 font-medium whitespace-nowrap">
                {cell}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, MOST_ROWS).map((row, place) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: rows have nothing but their place.
            <tr key={place} className="border-t border-line">
              {row.map((cell, column) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: the same of cells.
                <td key={column} className="max-w-80 truncate px-2.5 py-1 font-mono">
                  {cell}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > MOST_ROWS ? (
        <p className="border-t border-line px-2.5 py-1.5 text-xs text-muted">
          The first {MOST_ROWS} rows are shown.
        </p>
      ) : null}
    </div>
  );
}
