import { useNavigate } from "@tanstack/react-router";
import { useTable } from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef } from "react";
import { cx } from "@/design/cx";
import { useListKeys } from "@/hooks/useListKeys";
import { useNow } from "@/hooks/useNow";
import { COLUMNS, Created, DurationBar, features, type Shown, Tokens, tookOf } from "./columns";
import { isLive } from "./rows";
import { useUsageSource } from "./usage";
import type { LiveRuns } from "./useRunFeed";

const ROW_PX = 40;
const AHEAD_ROWS = 30;
const GRID =
  "grid grid-cols-[1.5rem_9.5rem_minmax(0,1fr)_5.5rem] md:grid-cols-[1.5rem_9.5rem_minmax(0,2fr)_minmax(0,1.4fr)_9.5rem_6.5rem] lg:grid-cols-[1.5rem_9.5rem_minmax(0,2fr)_5.5rem_minmax(0,1.4fr)_9.5rem_6.5rem] xl:grid-cols-[1.5rem_9.5rem_minmax(0,2fr)_5.5rem_minmax(0,1.4fr)_minmax(0,1fr)_4rem_9.5rem_6.5rem] 2xl:grid-cols-[1.5rem_9.5rem_minmax(0,2fr)_5.5rem_minmax(0,1.4fr)_minmax(0,1fr)_minmax(0,9rem)_4rem_9.5rem_6.5rem] items-center gap-x-3 px-4 sm:px-6";
const HIDDEN: Record<string, string> = {
  kind: "hidden lg:block",
  agent: "hidden md:block",
  tags: "hidden xl:block",
  by: "hidden 2xl:block",
};
const TOKENS = "hidden text-right xl:block";

export interface RunsTableProps {
  runs: LiveRuns;
  selected: ReadonlySet<string>;
  onSelect: (selected: ReadonlySet<string>) => void;
}

export function RunsTable({ runs, selected, onSelect }: RunsTableProps) {
  const { rows, more, grow } = runs;
  const navigate = useNavigate();
  const usage = useUsageSource();
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 12,
    getItemKey: (index) => rows[index]?.id ?? index,
  });
  const items = virtual.getVirtualItems();
  const [first, last] = [items[0]?.index ?? 0, items.at(-1)?.index ?? 0];
  // The table makes models of what is in view only: of 100,000 rows they would cost more than all else.
  const inView = useMemo(() => rows.slice(first, last + 1), [rows, first, last]);
  const table = useTable({ features, columns: COLUMNS, data: inView, getRowId: (row) => row.id });
  const now = useNow(inView.some((row) => isLive(row.status)));
  const shown: Shown = { now, longest: Math.max(0, ...inView.map((row) => tookOf(row, now) ?? 0)) };
  useEffect(() => {
    if (more && last >= rows.length - AHEAD_ROWS) grow();
  }, [grow, last, more, rows.length]);
  const live = useMemo(() => rows.filter((row) => isLive(row.status)), [rows]);
  const toggle = (id: string): void => {
    const next = new Set(selected);
    if (!next.delete(id)) next.add(id);
    onSelect(next);
  };
  const keys = useListKeys(rows.length, {
    open: (index) => {
      const row = rows[index];
      if (row) void navigate({ to: "/runs/$runId", params: { runId: row.id } });
    },
    move: (index) => virtual.scrollToIndex(index),
    toggle: (index) => {
      const row = rows[index];
      if (row) toggle(row.id);
    },
  });
  const models = table.getRowModel().rows;
  return (
    <div
      ref={scroller}
      tabIndex={0}
      role="table"
      aria-label="Runs"
      aria-rowcount={more ? -1 : rows.length}
      className="min-h-0 flex-1 overflow-auto outline-offset-[-2px]"
    >
      <div role="rowgroup" className="sticky top-0 z-10 border-b border-line bg-canvas">
        <div role="row" className={cx(GRID, "h-9 text-xs font-medium text-muted")}>
          <span role="columnheader">
            <input
              type="checkbox"
              aria-label="Select all that are live"
              checked={live.length > 0 && live.every((row) => selected.has(row.id))}
              disabled={live.length === 0}
              onChange={(event) => onSelect(new Set(event.target.checked ? live.map((row) => row.id) : []))}
              className="size-3.5 accent-accent"
            />
          </span>
          {table.getHeaderGroups()[0]?.headers.map((header) => (
            <span key={header.id} role="columnheader" className={HIDDEN[header.id]}>
              <table.FlexRender header={header} />
            </span>
          ))}
          <span role="columnheader" className={TOKENS}>
            Tokens
          </span>
          <span role="columnheader" className="hidden md:block">
            Duration
          </span>
          <span role="columnheader">Created</span>
        </div>
      </div>
      <div role="rowgroup" className="relative" style={{ height: virtual.getTotalSize() }}>
        {items.map((item) => {
          const model = models[item.index - first];
          if (!model) return null;
          const row = model.original;
          return (
            <div
              key={item.key}
              role="row"
              aria-rowindex={item.index + 2}
              data-run={row.id}
              className={cx(
                GRID,
                "group absolute inset-x-0 border-b border-line hover:bg-hover",
                keys.current === item.index && "bg-hover shadow-[inset_2px_0_0_var(--accent)]",
                selected.has(row.id) && "bg-accent-soft",
              )}
              style={{ height: ROW_PX, transform: `translateY(${item.start}px)` }}
            >
              <span role="cell" className="flex">
                <input
                  type="checkbox"
                  aria-label={`Select ${row.id}`}
                  checked={selected.has(row.id)}
                  onChange={() => toggle(row.id)}
                  className="size-3.5 accent-accent opacity-40 group-hover:opacity-100 checked:opacity-100 focus-visible:opacity-100"
                />
              </span>
              {model.getAllCells().map((cell) => (
                <span key={cell.id} role="cell" className={cx("min-w-0", HIDDEN[cell.column.id])}>
                  <table.FlexRender cell={cell} />
                </span>
              ))}
              <span role="cell" className={TOKENS}>
                <Tokens row={row} source={usage} />
              </span>
              <span role="cell" className="hidden min-w-0 md:block">
                <DurationBar row={row} shown={shown} />
              </span>
              <span role="cell" className="min-w-0 truncate">
                <Created row={row} now={now} />
              </span>
            </div>
          );
        })}
      </div>
    </div>
  );
}
