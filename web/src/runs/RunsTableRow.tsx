import { memo } from "react";
import { cx } from "@/design/cx";
import { type CellProps, COLUMNS } from "./columns";

/** The columns of the header and of every row; on narrow screens some are hidden. */
export const GRID =
  "grid grid-cols-[1.5rem_9.5rem_minmax(0,1fr)_5.5rem] md:grid-cols-[1.5rem_9.5rem_minmax(0,2fr)_minmax(0,1.4fr)_9.5rem_6.5rem] lg:grid-cols-[1.5rem_9.5rem_minmax(0,2fr)_5.5rem_minmax(0,1.4fr)_9.5rem_6.5rem] xl:grid-cols-[1.5rem_9.5rem_minmax(0,2fr)_5.5rem_minmax(0,1.4fr)_minmax(0,1fr)_4rem_9.5rem_6.5rem] 2xl:grid-cols-[1.5rem_9.5rem_minmax(0,2fr)_5.5rem_minmax(0,1.4fr)_minmax(0,1fr)_minmax(0,9rem)_4rem_9.5rem_6.5rem] items-center gap-x-3 px-4 sm:px-6";
export const ROW_PX = 40;

export interface RunsTableRowProps extends CellProps {
  index: number;
  /** Where it stands, in pixels. */
  top: number;
  current: boolean;
  selected: boolean;
  onToggle: (id: string) => void;
}

/** A row; drawn again only when something of it has changed, so that scrolling draws new rows alone. */
export const RunsTableRow = memo(function RunsTableRow(props: RunsTableRowProps) {
  const { row, now, usage, index, top, current, selected, onToggle } = props;
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      data-run={row.id}
      className={cx(
        GRID,
        "group absolute inset-x-0 border-b contain-strict border-line hover:bg-hover",
        current && "bg-hover shadow-[inset_2px_0_0_var(--accent)]",
        selected && "bg-accent-soft",
      )}
      style={{ height: ROW_PX, transform: `translateY(${top}px)` }}
    >
      <span role="cell" className="flex">
        <input
          type="checkbox"
          aria-label={`Select ${row.id}`}
          checked={selected}
          onChange={() => onToggle(row.id)}
          className="size-3.5 accent-accent opacity-40 group-hover:opacity-100 checked:opacity-100 focus-visible:opacity-100"
        />
      </span>
      {COLUMNS.map(({ id, Cell, shown }) => (
        <span key={id} role="cell" className={cx("min-w-0", shown)}>
          <Cell row={row} now={now} usage={usage} />
        </span>
      ))}
    </div>
  );
});
