// Reading what an event says: writers outside may write anything, so nothing is taken for granted.
import type { LogEvent } from "@/log/event";
import type { Usage } from "./items";

/** The members of a JSON object; none for anything else. */
export function membersOf(value: unknown): Record<string, unknown> {
  return value !== null && typeof value === "object" && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}

/** When an event was written, milliseconds since 1970; null where the server did not say. */
export function timeOf(event: LogEvent): number | null {
  return event.at || null;
}

/** A text; "" where something else stands. */
export function textIn(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** What `metadata` of an end tells about the model; null where it says nothing. */
export function usageOf(metadata: unknown): Usage | null {
  const said = membersOf(metadata);
  const tokens = (value: unknown): number | null => (typeof value === "number" ? value : null);
  const usage = {
    model: textIn(said.model) || null,
    inputTokens: tokens(said.inputTokens),
    outputTokens: tokens(said.outputTokens),
  };
  return usage.model === null && usage.inputTokens === null && usage.outputTokens === null ? null : usage;
}
