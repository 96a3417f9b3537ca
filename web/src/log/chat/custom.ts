// What the server's own events (CUSTOM) mean for a chat; those that are missing here are told on other tabs.
import type { LogEvent } from "@/log/event";
import type { Draft } from "./draft";
import type { AskedInput, WaitReason } from "./items";
import { membersOf, textIn, timeOf, usageOf } from "./read";

type Value = Record<string, unknown>;
type Handler = (draft: Draft, value: Value, at: number | null, eventId: number) => void;

export function onCustom(draft: Draft, name: string, value: Value, event: LogEvent): void {
  HANDLERS[name]?.(draft, value, timeOf(event), event.id);
}

const HANDLERS: Record<string, Handler> = {
  "perdure.run.waiting": waiting,
  "perdure.run.approval": (draft, value) => {
    const decided = membersOf(value.value);
    const decision = { approved: decided.approved === true, message: textIn(decided.message) || null };
    draft.changeCall(textIn(value.toolCallId), () => ({ decision, waitsFor: null }));
  },
  "perdure.run.attempt": (draft) => draft.rest(),
  "perdure.run.yielded": (draft, value, at) => {
    draft.rest();
    const why = textIn(value.reason).replaceAll("_", " ");
    draft.notice(
      { tone: "waiting", text: `Attempt ${value.attempt} was lost (${why}). The run goes on from its log.` },
      at,
    );
  },
  "perdure.run.cancelling": (draft, value, at) =>
    draft.notice({ tone: "waiting", text: `Being cancelled: ${textIn(value.reason)}` }, at),
  "perdure.run.restarted": (draft, value, at) => {
    draft.rest();
    draft.set({ end: null });
    draft.notice({ text: value.fresh === true ? "Restarted from the beginning" : "Restarted" }, at);
  },
  "perdure.run.forked": (draft, value, at) => {
    draft.rest();
    draft.set({ end: null });
    draft.notice({ text: "Forked here from", runId: textIn(value.from) }, at);
  },
  "perdure.message.superseded": superseded,
  "perdure.signal": signal,
  "perdure.turn.started": (draft) => {
    draft.rest();
    draft.takeUp();
  },
  "perdure.turn.ended": (draft, value, at) => {
    const stopped = value.status === "stopped";
    draft.rest();
    draft.set({ turn: { stopped, usage: usageOf(value.metadata) } });
    if (stopped) draft.notice({ text: "The turn was stopped" }, at);
  },
  "perdure.message": (draft, value, at) => {
    const type = textIn(value.type);
    const tone = type === "error" ? "bad" : type === "warning" ? "waiting" : "plain";
    draft.notice({ tone, text: textIn(value.message), detail: value.details ?? null }, at);
  },
  "perdure.agent.interrupt": (draft, value, at) => {
    const id = textIn(value.id);
    if (!draft.has(`tool:${id}`)) draft.addCall(id, textIn(value.reason) || "interrupt", at);
    const question = textIn(value.message) || null;
    draft.changeCall(id, () => ({ open: false, question }));
  },
  "perdure.progress": (draft, value) => draft.set({ progress: progressOf(value) }),
  "perdure.child.started": (draft, value, at) =>
    draft.notice({ text: `Started ${textIn(value.target)} as`, runId: textIn(value.runId) }, at),
  "perdure.artifact": (draft, value, at) =>
    draft.notice({ text: `Wrote the file ${textIn(value.path)}` }, at),
  "perdure.message.file": (draft, value, at) =>
    draft.notice({ text: `The model made a file of ${value.size} bytes (${textIn(value.mediaType)})` }, at),
  "veryfront.input_request.lifecycle": inputRequest,
};

function waiting(draft: Draft, value: Value, at: number | null): void {
  const until = typeof value.until === "number" ? value.until : null;
  draft.set({ waiting: { reason: textIn(value.reason), until } });
  for (const call of Array.isArray(value.calls) ? value.calls.map(membersOf) : []) {
    const id = textIn(call.toolCallId);
    if (!draft.has(`tool:${id}`)) draft.addCall(id, textIn(call.toolCallName), at);
    draft.changeCall(id, () => ({ open: false, waitsFor: textIn(call.reason) as WaitReason }));
  }
}

function superseded(draft: Draft, value: Value): void {
  const reason = textIn(value.reason);
  draft.takeBack(textIn(value.messageId), reason);
  for (const id of Array.isArray(value.toolCallIds) ? value.toolCallIds : []) {
    draft.changeCall(textIn(id), () => ({ back: reason, open: false, waitsFor: null }));
  }
}

function signal(draft: Draft, value: Value, at: number | null, eventId: number): void {
  const payload = membersOf(value.payload);
  if (value.name !== "UserInput") {
    draft.notice({ text: `Signal ${textIn(value.name)}`, detail: value.payload ?? null }, at);
    return;
  }
  const answers = "answers" in value;
  const text = textIn(payload.message) || JSON.stringify(value.payload);
  const id = `said-${eventId}`;
  if (answers) draft.add({ kind: "user", id, at, back: null, text, answers });
  else draft.queue({ kind: "user", id, at, back: null, text, answers });
}

function progressOf(value: Value): string | null {
  const { done, total } = value;
  const share = typeof done === "number" && typeof total === "number" ? `${done} of ${total}` : "";
  return [textIn(value.text), share].filter(Boolean).join(" · ") || null;
}

function inputRequest(draft: Draft, value: Value, at: number | null): void {
  const request = value.inputRequest as AskedInput;
  if (draft.has(`input:${request.id}`)) {
    draft.change(`input:${request.id}`, (item) => (item.kind === "input" ? { ...item, request } : item));
  } else {
    draft.add({ kind: "input", id: request.id, at, back: null, request });
  }
}
