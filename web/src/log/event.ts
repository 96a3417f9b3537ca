// An event of a run's log, as the pages read it.

export interface LogEvent {
  id: number;
  type: string;
  /** When it was written, milliseconds since 1970. */
  at: number;
  /** The event as the server sent it. */
  payload: Record<string, unknown>;
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
