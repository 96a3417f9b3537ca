import type { LogEvent } from "./event";

/** A log for tests: events of these payloads, a second apart, from 1 s on. */
export function log(...payloads: Record<string, unknown>[]): LogEvent[] {
  return payloads.map((payload, place) => ({
    id: place + 1,
    type: String(payload.type),
    at: (place + 1) * 1_000,
    payload,
  }));
}

/** The payload of a CUSTOM event. */
export function custom(name: string, value: Record<string, unknown> = {}): Record<string, unknown> {
  return { type: "CUSTOM", name, value };
}
