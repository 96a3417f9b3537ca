import { type KeyboardEvent, useState } from "react";
import type { RunStatus } from "@/api/types";
import { cx } from "@/design/cx";
import { count, moment } from "@/design/format";
import type { Bar } from "./activity";

const COLOURS: Record<RunStatus, string> = {
  pending: "bg-neutral",
  running: "bg-running",
  waiting: "bg-waiting",
  completed: "bg-good",
  failed: "bg-bad",
  cancelled: "bg-line-strong",
};

export interface ActivityChartProps {
  bars: readonly Bar[];
  /** A bar was clicked, or several were brushed over: from and to, milliseconds since 1970. */
  onPick: (from: number, to: number) => void;
}

/** Bars of runs over time; the arrow keys move between them. */
export function ActivityChart({ bars, onPick }: ActivityChartProps) {
  const [current, setCurrent] = useState(bars.length - 1);
  const [brush, setBrush] = useState<{ start: number; end: number } | null>(null);
  const most = Math.max(1, ...bars.map((bar) => bar.total));
  const reachable = Math.min(current, bars.length - 1);
  const finish = (): void => {
    setBrush(null);
    const [first, last] = brush ? [bars[low(brush)], bars[high(brush)]] : [];
    if (first && last) onPick(first.from, last.to);
  };
  const onKeyDown = (event: KeyboardEvent<HTMLElement>): void => {
    const step = event.key === "ArrowLeft" ? -1 : event.key === "ArrowRight" ? 1 : 0;
    if (step === 0) return;
    event.preventDefault();
    const next = Math.max(0, Math.min(bars.length - 1, reachable + step));
    setCurrent(next);
    (event.currentTarget.children[next] as HTMLElement | undefined)?.focus();
  };
  return (
    <div className="border-b border-line px-4 pb-2 sm:px-6">
      <div
        role="group"
        aria-label="Activity: runs over time, by status"
        className="flex h-14 touch-none items-stretch gap-px select-none"
        onKeyDown={onKeyDown}
        onPointerUp={finish}
        onPointerLeave={() => setBrush(null)}
      >
        {bars.map((bar, index) => (
          <button
            key={bar.from}
            type="button"
            tabIndex={index === reachable ? 0 : -1}
            data-runs={bar.total}
            aria-label={labelOf(bar)}
            title={labelOf(bar)}
            className={cx(
              "flex min-w-0 flex-1 flex-col justify-end rounded-xs hover:bg-hover",
              brush && index >= low(brush) && index <= high(brush) && "bg-accent-soft",
            )}
            onPointerDown={(event) => {
              event.currentTarget.releasePointerCapture(event.pointerId);
              setBrush({ start: index, end: index });
            }}
            onPointerEnter={() => brush && setBrush({ ...brush, end: index })}
            onKeyDown={(event) => {
              if (event.key === "Enter" || event.key === " ") onPick(bar.from, bar.to);
            }}
          >
            {bar.parts.toReversed().map((part) => (
              <span
                key={part.status}
                className={cx("block min-h-px w-full first:rounded-t-xs", COLOURS[part.status])}
                style={{ height: `${(100 * part.runs) / most}%` }}
              />
            ))}
          </button>
        ))}
      </div>
      <div aria-hidden="true" className="mt-1 flex justify-between text-2xs text-faint">
        <span>{timeText(bars[0]?.from)}</span>
        <span>{timeText(bars.at(-1)?.to)}</span>
      </div>
    </div>
  );
}

function low(brush: { start: number; end: number }): number {
  return Math.min(brush.start, brush.end);
}

function high(brush: { start: number; end: number }): number {
  return Math.max(brush.start, brush.end);
}

function labelOf(bar: Bar): string {
  const parts = bar.parts.map((part) => `${count(part.runs)} ${part.status}`);
  return `${timeText(bar.from)}: ${parts.length > 0 ? parts.join(", ") : "no runs"}`;
}

function timeText(at: number | undefined): string {
  return at === undefined ? "" : moment(new Date(at).toISOString());
}
