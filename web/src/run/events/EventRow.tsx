import { cx } from "@/design/cx";
import { timeOfDay } from "@/design/format";
import type { LogEvent } from "@/log/event";

export interface EventRowProps {
  event: LogEvent;
  current: boolean;
  open: boolean;
  top: number;
  height: number;
  onOpen: () => void;
}

const TONES: readonly (readonly [RegExp, string])[] = [
  [/ERROR/, "text-bad"],
  [/^TOOL_CALL/, "text-waiting"],
  [/^TEXT|^REASONING/, "text-running"],
  [/^RUN_/, "text-good"],
];

export function EventRow({ event, current, open, top, height, onOpen }: EventRowProps) {
  const tone = TONES.find(([pattern]) => pattern.test(event.type))?.[1] ?? "text-muted";
  return (
    <button
      type="button"
      data-event={event.id}
      aria-expanded={open}
      onClick={onOpen}
      style={{ height, transform: `translateY(${top}px)` }}
      className={cx(
        "absolute inset-x-0 flex items-center gap-4 px-4 text-left font-mono text-xs outline-offset-[-2px] hover:bg-hover sm:px-6",
        open && "bg-accent-soft",
        current && "bg-hover shadow-[inset_2px_0_0_var(--accent)]",
      )}
    >
      <span className="w-12 shrink-0 text-right text-faint">{event.id}</span>
      <span className="hidden w-24 shrink-0 text-faint sm:block">{timeOfDay(event.at)}</span>
      <span className={cx("w-52 shrink-0 truncate", tone)}>{event.type}</span>
      <span className="min-w-0 truncate text-muted">{summaryOf(event.payload)}</span>
    </button>
  );
}

const TOLD = ["delta", "toolCallName", "name", "content", "message", "stepName"] as const;

/** What is worth seeing of an event in one line. */
function summaryOf(payload: Record<string, unknown>): string {
  const parts: string[] = [];
  for (const name of TOLD) {
    const value = payload[name];
    if (typeof value === "string" && value !== "") parts.push(value);
    else if (name === "delta" && value !== undefined) parts.push(JSON.stringify(value));
  }
  if (parts.length === 0 && typeof payload.messageId === "string") parts.push(payload.messageId);
  if (payload.value !== undefined) parts.push(JSON.stringify(payload.value));
  return parts.join("  ");
}
