// What stands before the first event: the messages that the run was started with.
import type { Item } from "./items";
import { membersOf } from "./read";

/** A run's `input.messages` as items. Messages without words (tool calls of an earlier run) are left to the JSON tab. */
export function openingOf(input: unknown): Item[] {
  const messages = membersOf(input).messages;
  if (!Array.isArray(messages)) return [];
  return messages.map((message, index) => itemOf(membersOf(message), index)).filter((item) => item !== null);
}

function itemOf(message: Record<string, unknown>, index: number): Item | null {
  const base = { id: `opening-${index}`, at: null, back: null };
  const text = textOf(message.content ?? message.parts);
  if (text === "") return null;
  switch (message.role) {
    case "user":
      return { ...base, kind: "user", text, answers: false };
    case "assistant":
      return { ...base, kind: "text", text, open: false };
    case "reasoning":
      return { ...base, kind: "reasoning", text, open: false, endedAt: null };
    case "system":
    case "developer":
      return { ...base, kind: "system", text };
    default:
      return null;
  }
}

/** The words of a message: a text, or parts of which some are text and some are files. */
export function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content
    .map((one) => partOf(membersOf(one)))
    .filter((text) => text !== "")
    .join("\n\n");
}

function partOf(part: Record<string, unknown>): string {
  if (typeof part.text === "string") return part.text;
  const name = part.filename ?? part.media_type ?? part.mediaType ?? part.mimeType;
  return typeof name === "string" ? `\`${name}\`` : "";
}
