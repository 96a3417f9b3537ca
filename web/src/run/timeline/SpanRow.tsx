import {
  Bot,
  Clock,
  GitBranch,
  ListChecks,
  type LucideIcon,
  MessageSquare,
  Play,
  Send,
  Wrench,
} from "lucide-react";
import { cx } from "@/design/cx";
import { duration } from "@/design/format";
import type { Span, SpanKind } from "./spans";

export const ICONS: Record<SpanKind, LucideIcon> = {
  attempt: Play,
  turn: MessageSquare,
  step: ListChecks,
  model: Bot,
  tool: Wrench,
  wait: Clock,
  child: GitBranch,
  subagent: GitBranch,
  signal: Send,
};

const BARS: Record<SpanKind, string> = {
  attempt: "bg-line-strong",
  turn: "bg-line-strong",
  step: "bg-neutral",
  model: "bg-accent",
  tool: "bg-running",
  wait: "bg-waiting opacity-70",
  child: "bg-good",
  subagent: "bg-good",
  signal: "bg-ink",
};

/** What happens within an attempt; the rest lies beside attempts, or around them. */
const WITHIN: ReadonlySet<SpanKind> = new Set(["step", "model", "tool", "child", "subagent"]);

/** Shares of the width, percent, that the words beside a bar need: behind it, or else before it. */
const BEHIND = 20;
const BEFORE = 10;

export interface SpanRowProps {
  span: Span;
  /** Class names of the column of names: its width. */
  names: string;
  /** What the width stands for, milliseconds since 1970. */
  start: number;
  end: number;
  /** Where open spans end. */
  until: number;
  top: number;
  height: number;
  open: boolean;
  current: boolean;
  onOpen: () => void;
}

export function SpanRow(props: SpanRowProps) {
  const { span, names, start, end, until, top, height, open, current, onOpen } = props;
  const Icon = ICONS[span.kind];
  const stop = span.end ?? until;
  const took = duration(stop - span.start);
  const left = ((span.start - start) / (end - start)) * 100;
  const width = ((stop - span.start) / (end - start)) * 100;
  const behind = left + width < 100 - BEHIND;
  return (
    <button
      type="button"
      data-span={span.kind}
      aria-expanded={open}
      onClick={onOpen}
      style={{ height, transform: `translateY(${top}px)` }}
      className={cx(
        "group absolute inset-x-0 flex items-center text-left text-xs outline-offset-[-2px] hover:bg-hover",
        open && "bg-accent-soft",
        current && "bg-hover",
      )}
    >
      <span
        className={cx(
          names,
          "sticky left-0 z-10 flex h-full shrink-0 items-center gap-2 bg-canvas pl-4 group-hover:bg-hover sm:pl-6",
          open && "bg-accent-soft",
        )}
      >
        <Icon
          aria-hidden="true"
          className={cx("size-3.5 shrink-0 text-muted", WITHIN.has(span.kind) && "ml-3 sm:ml-5")}
        />
        <span className={cx("truncate", span.status === "failed" && "text-bad")}>{span.name}</span>
        <span className="sr-only">
          {span.kind}, {span.status}, {took}
        </span>
      </span>
      <span aria-hidden="true" className="relative mr-4 h-full flex-1">
        <span
          className={cx(
            "absolute top-1/2 h-3 min-w-0.5 -translate-y-1/2 rounded-sm",
            span.status === "failed" ? "bg-bad" : BARS[span.kind],
            span.status === "running" && "breathing",
          )}
          style={{ left: `${left}%`, width: `${width}%` }}
        />
        <span
          className={cx(
            "absolute top-1/2 -translate-y-1/2 px-1.5 whitespace-nowrap text-muted",
            !behind && left < 2 * BEFORE && "max-lg:hidden",
          )}
          style={behind ? { left: `${left + width}%` } : { right: `${100 - left}%` }}
        >
          {behind || left > BEFORE ? took : ""}
        </span>
      </span>
    </button>
  );
}
