// From a run's events to its chat. Pure: the same events make the same chat, in one piece or in many, which is what lets
// a stream that broke off go on. docs/events.md says what each event means.
import type { LogEvent } from "@/log/event";
import { onCustom } from "./custom";
import { Draft } from "./draft";
import { type Chat, EMPTY_CHAT, type Item } from "./items";
import { openingOf } from "./opening";
import { membersOf, textIn, timeOf, usageOf } from "./read";

type Payload = Record<string, unknown>;
type Handler = (draft: Draft, payload: Payload, event: LogEvent) => void;

/** The chat before the first event. */
export function beginChat(input: unknown): Chat {
  return { ...EMPTY_CHAT, items: openingOf(input) };
}

/** The chat after the next events. */
export function foldChat(before: Chat, events: readonly LogEvent[]): Chat {
  const draft = new Draft(before);
  for (const event of events) HANDLERS[event.type]?.(draft, event.payload, event);
  return draft.chat();
}

const HANDLERS: Record<string, Handler> = {
  TEXT_MESSAGE_START: (draft, said, event) => draft.add(messageOf(said, event)),
  TEXT_MESSAGE_CONTENT: (draft, said) => draft.say(textIn(said.messageId), textIn(said.delta)),
  TEXT_MESSAGE_END: (draft, said) => draft.closeMessage(textIn(said.messageId), null),
  TEXT_MESSAGE_CHUNK: (draft, said, event) => {
    const id = textIn(said.messageId) || draft.lastId("text");
    if (!draft.has(`message:${id}`)) draft.add(messageOf({ ...said, messageId: id }, event));
    draft.say(id, textIn(said.delta));
  },
  REASONING_MESSAGE_START: (draft, said, event) => draft.add(reasoningOf(textIn(said.messageId), event)),
  REASONING_MESSAGE_CONTENT: (draft, said) => draft.say(textIn(said.messageId), textIn(said.delta)),
  REASONING_MESSAGE_END: (draft, said, event) => draft.closeMessage(textIn(said.messageId), timeOf(event)),
  REASONING_MESSAGE_CHUNK: (draft, said, event) => {
    const id = textIn(said.messageId) || draft.lastId("reasoning");
    if (!draft.has(`message:${id}`)) draft.add(reasoningOf(id, event));
    draft.say(id, textIn(said.delta));
  },
  TOOL_CALL_START: (draft, said, event) =>
    draft.addCall(textIn(said.toolCallId), textIn(said.toolCallName), timeOf(event)),
  TOOL_CALL_ARGS: (draft, said) =>
    draft.changeCall(textIn(said.toolCallId), (call) => ({ args: call.args + textIn(said.delta) })),
  TOOL_CALL_END: (draft, said) => draft.changeCall(textIn(said.toolCallId), () => ({ open: false })),
  TOOL_CALL_CHUNK: (draft, said, event) => {
    const id = textIn(said.toolCallId) || draft.lastId("tool");
    if (!draft.has(`tool:${id}`)) draft.addCall(id, textIn(said.toolCallName), timeOf(event));
    draft.changeCall(id, (call) => ({ args: call.args + textIn(said.delta) }));
  },
  TOOL_CALL_RESULT: (draft, said, event) => {
    const result = {
      messageId: textIn(said.messageId) || null,
      content: textIn(said.content),
      isError: said.isError === true,
      cancelled: said.cancelled === true,
    };
    draft.changeCall(textIn(said.toolCallId), () => ({
      result,
      open: false,
      waitsFor: null,
      endedAt: timeOf(event),
    }));
  },
  RUN_FINISHED: (draft, said) => {
    draft.end({ status: "completed", message: null, code: null, usage: usageOf(said.metadata) });
  },
  RUN_ERROR: (draft, said) => {
    const code = textIn(said.code) || null;
    const status = code === "CANCELLED" ? "cancelled" : "failed";
    draft.end({ status, message: textIn(said.message) || null, code, usage: null });
  },
  CUSTOM: (draft, said, event) => onCustom(draft, textIn(said.name), membersOf(said.value), event),
};

function messageOf(said: Payload, event: LogEvent): Item {
  const base = { id: textIn(said.messageId), at: timeOf(event), back: null, text: "" };
  return said.role === "user"
    ? { ...base, kind: "user", answers: false }
    : { ...base, kind: "text", open: true };
}

function reasoningOf(id: string, event: LogEvent): Item {
  return { kind: "reasoning", id, at: timeOf(event), back: null, text: "", open: true, endedAt: null };
}
