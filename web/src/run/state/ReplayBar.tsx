import { ChevronLeft, ChevronRight, Radio } from "lucide-react";
import type { CSSProperties } from "react";
import { Button } from "@/design/Button";
import { count, timeOfDay } from "@/design/format";
import { useHotkeys } from "@/hooks/useHotkeys";

import { countUntil, useWholeLog } from "../events/log";
import { useAt } from "../useAt";

const LEFT = "ArrowLeft";
const RIGHT = "ArrowRight";

/** Moves the whole page to any event of the run's log, and back to live. */
export function ReplayBar() {
  const { events } = useWholeLog();
  const { at, moveTo } = useAt();
  const last = events.length - 1;
  const place = at === undefined ? last : Math.max(0, countUntil(events, at) - 1);
  const event = events[place];
  const past = at !== undefined;
  const step = (index: number): void => {
    const next = events[Math.max(0, Math.min(index, last))];
    if (next) moveTo(next.id);
  };
  useHotkeys({
    [LEFT]: () => step(place - 1),
    [RIGHT]: () => past && step(place + 1),
    l: () => moveTo(undefined),
  });
  return (
    <section
      aria-label="Place in the log"
      className="flex h-11 shrink-0 items-center gap-2 border-t border-line bg-surface px-4 text-xs sm:px-6"
    >
      <Button
        tone="ghost"
        aria-label="Event before"
        icon={<ChevronLeft className="size-4" />}
        disabled={place <= 0}
        onClick={() => step(place - 1)}
      />
      <Button
        tone="ghost"
        aria-label="Next event"
        icon={<ChevronRight className="size-4" />}
        disabled={!past || place >= last}
        onClick={() => step(place + 1)}
      />
      <input
        type="range"
        aria-label="Event"
        aria-valuetext={event ? `Event ${event.id}, ${event.type}` : "No events"}
        min={0}
        max={Math.max(0, last)}
        value={Math.max(0, place)}
        disabled={events.length === 0}
        onChange={(change) => step(Number(change.target.value))}
        className="slider min-w-16 flex-1"
        style={{ "--share": `${last > 0 ? (100 * Math.max(0, place)) / last : 100}%` } as CSSProperties}
      />
      <span className="hidden w-72 truncate font-mono text-muted sm:block" data-testid="place">
        {event ? `${count(event.id)} ${event.type} ${timeOfDay(event.at)}` : "No events"}
      </span>
      <Button
        tone={past ? "primary" : "ghost"}
        aria-pressed={!past}
        icon={<Radio className="size-3.5" />}
        onClick={() => moveTo(undefined)}
      >
        {past ? "Go live" : "Live"}
      </Button>
    </section>
  );
}
