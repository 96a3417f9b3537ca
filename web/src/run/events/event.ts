// The events of a run's log, and what can be told of them alone.

export interface LogEvent {
  id: number;
  type: string;
  /** When it was written, milliseconds since 1970. */
  at: number;
  /** The event as the server sent it. */
  payload: Record<string, unknown>;
}

/** The events up to and including the one with this id. */
export function eventsUntil(events: readonly LogEvent[], id: number): readonly LogEvent[] {
  return events.slice(0, countUntil(events, id));
}

/** How many events have this id or a lower one. */
export function countUntil(events: readonly LogEvent[], id: number): number {
  let low = 0;
  let high = events.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((events[middle]?.id ?? 0) <= id) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The name and value of a CUSTOM event; the value is an object for all that the server writes. */
export function customOf(event: LogEvent): { name: string; value: Record<string, unknown> } | undefined {
  const { name, value } = event.payload;
  if (event.type !== "CUSTOM" || typeof name !== "string") return undefined;
  return { name, value: isObject(value) ? value : {} };
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
