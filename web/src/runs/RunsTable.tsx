import { useNavigate } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import {
  type CSSProperties,
  type Dispatch,
  type SetStateAction,
  useCallback,
  useEffect,
  useMemo,
  useRef,
} from "react";
import { isLive } from "@/api/runs";
import { cx } from "@/design/cx";
import { useListKeys } from "@/hooks/useListKeys";
import { useNow } from "@/hooks/useNow";
import { COLUMNS, tookOf } from "./columns";
import { GRID, ROW_PX, RunsTableRow } from "./RunsTableRow";
import type { RunRow } from "./rows";
import { useUsage } from "./usage";
import type { LiveRuns } from "./useRunFeed";

const AHEAD_ROWS = 30;
const DAY_MS = 86_400_000;

export interface RunsTableProps {
  runs: LiveRuns;
  selected: ReadonlySet<string>;
  onSelect: Dispatch<SetStateAction<ReadonlySet<string>>>;
}

export function RunsTable({ runs, selected, onSelect }: RunsTableProps) {
  const { rows, more, grow } = runs;
  const navigate = useNavigate();
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 6,
    getItemKey: (index) => rows[index]?.id ?? index,
  });
  const items = virtual.getVirtualItems();
  const [first, last] = [items[0]?.index ?? 0, items.at(-1)?.index ?? 0];
  const inView = useMemo(() => rows.slice(first, last + 1), [rows, first, last]);
  const usage = useUsage(inView);
  const now = useNow(inView.some((row) => isLive(row.status)));
  const longest = Math.max(1, ...inView.map((row) => tookOf(row, now) ?? 0));
  useEffect(() => {
    // Whenever the rows are other ones: what was asked for before may have come to nothing.
    if (more && last >= rows.length - AHEAD_ROWS) grow();
  }, [grow, last, more, rows]);
  const live = useMemo(() => rows.filter((row) => isLive(row.status)), [rows]);
  const toggle = useCallback(
    (id: string) =>
      onSelect((before) => {
        const next = new Set(before);
        if (!next.delete(id)) next.add(id);
        return next;
      }),
    [onSelect],
  );
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
          {COLUMNS.map(({ id, header, shown }) => (
            <span key={id} role="columnheader" className={shown}>
              {header}
            </span>
          ))}
        </div>
      </div>
      <div
        role="rowgroup"
        className="relative"
        style={{ height: virtual.getTotalSize(), "--longest": longest } as CSSProperties}
      >
        {items.map((item) => {
          const row = rows[item.index];
          return row ? (
            <RunsTableRow
              key={item.key}
              row={row}
              now={momentFor(row, now)}
              usage={usage.get(row.id)}
              index={item.index}
              top={item.start}
              current={keys.current === item.index}
              selected={selected.has(row.id)}
              onToggle={toggle}
            />
          ) : null;
        })}
      </div>
    </div>
  );
}

/** The time that a row needs: an ended one of more than a day ago looks the same at any. */
function momentFor(row: RunRow, now: number): number {
  const ended = row.endedAt !== null && now - Date.parse(row.createdAt) >= DAY_MS;
  return ended ? Number.MAX_SAFE_INTEGER : now;
}
