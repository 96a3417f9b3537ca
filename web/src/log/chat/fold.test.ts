import { describe, expect, test } from "vitest";
import type { LogEvent } from "@/log/event";
import { beginChat, foldChat } from "./fold";
import type { Chat, Item, ToolItem } from "./items";

type Told = Record<string, unknown> & { type: string };

const custom = (name: string, value: unknown): Told => ({ type: "CUSTOM", name, value });
const text = (id: string, ...deltas: string[]): Told[] => [
  { type: "TEXT_MESSAGE_START", messageId: id, role: "assistant" },
  ...deltas.map((delta) => ({ type: "TEXT_MESSAGE_CONTENT", messageId: id, delta })),
];
const call = (id: string, name: string, ...args: string[]): Told[] => [
  { type: "TOOL_CALL_START", toolCallId: id, toolCallName: name, parentMessageId: "m" },
  ...args.map((delta) => ({ type: "TOOL_CALL_ARGS", toolCallId: id, delta })),
  { type: "TOOL_CALL_END", toolCallId: id },
];
const result = (id: string, content: string, more: object = {}): Told => ({
  ...{ type: "TOOL_CALL_RESULT", messageId: `m:tool:${id}`, toolCallId: id, content, role: "tool" },
  ...more,
});
const waiting = (reason: string, ...ids: string[]): Told =>
  custom("perdure.run.waiting", {
    reason,
    calls: ids.map((toolCallId) => ({ toolCallId, toolCallName: "pay", reason })),
  });

function logOf(told: Told[]): LogEvent[] {
  return told.map((payload, index) => ({
    id: index + 1,
    type: payload.type,
    at: (index + 1) * 100,
    payload,
  }));
}

function chatOf(told: Told[], input: unknown = null): Chat {
  return foldChat(beginChat(input), logOf(told));
}

function toolIn(chat: Chat, id: string): ToolItem {
  const item = chat.items.find((one) => one.kind === "tool" && one.id === id);
  if (item?.kind !== "tool") throw new Error(`no call ${id}`);
  return item;
}

const words = (chat: Chat): string[] =>
  chat.items.map((item: Item) => ("text" in item ? `${item.kind}: ${item.text}` : item.kind));

const WHOLE: Told[] = [
  { type: "RUN_STARTED", threadId: "t", runId: "r" },
  { type: "REASONING_MESSAGE_START", messageId: "r1", role: "reasoning" },
  { type: "REASONING_MESSAGE_CONTENT", messageId: "r1", delta: "hm" },
  { type: "REASONING_MESSAGE_END", messageId: "r1" },
  ...text("m1", "one ", "two"),
  { type: "TEXT_MESSAGE_END", messageId: "m1" },
  ...call("c1", "pay", '{"cents":', "5}"),
  waiting("approval", "c1"),
  custom("perdure.run.approval", { toolCallId: "c1", toolCallName: "pay", value: { approved: true } }),
  custom("perdure.run.attempt", { attempt: 2 }),
  result("c1", '"paid"'),
  ...text("m2", "done"),
  { type: "TEXT_MESSAGE_END", messageId: "m2" },
  {
    type: "RUN_FINISHED",
    threadId: "t",
    runId: "r",
    metadata: { model: "m", inputTokens: 7, outputTokens: 3 },
  },
];

describe("a chat", () => {
  test("is what the user asked, and what came of it", () => {
    const chat = chatOf(WHOLE, { messages: [{ role: "user", content: [{ type: "text", text: "pay" }] }] });
    expect(words(chat)).toEqual(["user: pay", "reasoning: hm", "text: one two", "tool", "text: done"]);
    const pay = toolIn(chat, "c1");
    expect(pay).toMatchObject({ args: '{"cents":5}', waitsFor: null, decision: { approved: true } });
    expect(pay.result).toMatchObject({ content: '"paid"', isError: false });
    expect(Number(pay.endedAt) - Number(pay.at)).toBe(700);
    expect(chat.end).toEqual({
      ...{ status: "completed", message: null, code: null },
      usage: { model: "m", inputTokens: 7, outputTokens: 3 },
    });
  });

  test("is the same wherever the stream breaks off", () => {
    const log = logOf(WHOLE);
    const whole = foldChat(beginChat(null), log);
    for (let cut = 0; cut <= log.length; cut += 1) {
      const first = foldChat(beginChat(null), log.slice(0, cut));
      expect(foldChat(first, log.slice(cut))).toEqual(whole);
    }
  });

  test("replaces only what has changed", () => {
    const log = logOf(WHOLE);
    const before = foldChat(beginChat(null), log.slice(0, -3));
    const after = foldChat(before, log.slice(-3));
    expect(after.items[1]).toBe(before.items[1]);
    expect(after.items.at(-1)).not.toBe(before.items.at(-1));
  });

  test("keeps a message open until it ends", () => {
    expect(chatOf(text("m1", "so far")).items[0]).toMatchObject({ text: "so far", open: true });
    const lost = custom("perdure.run.yielded", { attempt: 1, reason: "lease_expired" });
    expect(chatOf([...text("m1", "so far"), lost]).items[0]).toMatchObject({ open: false });
  });

  test("takes back what a lost attempt said, with its calls, and shows the new one after it", () => {
    const chat = chatOf([
      ...text("m1", "old"),
      ...call("c1", "pay"),
      custom("perdure.run.yielded", { attempt: 1, reason: "lease_expired" }),
      custom("perdure.message.superseded", { messageId: "m1", reason: "attempt_lost", toolCallIds: ["c1"] }),
      custom("perdure.run.attempt", { attempt: 2 }),
      ...text("m2", "new"),
    ]);
    const texts = chat.items.filter((item) => item.kind === "text");
    expect(texts.map((item) => [item.text, item.back])).toEqual([
      ["old", "attempt_lost"],
      ["new", null],
    ]);
    expect(toolIn(chat, "c1").back).toBe("attempt_lost");
  });

  test("takes a result back by itself", () => {
    const back = custom("perdure.message.superseded", { messageId: "m:tool:c1", reason: "attempt_lost" });
    expect(toolIn(chatOf([...call("c1", "pay"), result("c1", "1"), back]), "c1")).toMatchObject({
      result: null,
      back: null,
    });
  });

  test("asks for each call that waits, also for one that no event has told before", () => {
    const chat = chatOf([...call("c1", "pay"), waiting("approval", "c1", "c2"), result("c1", "1")]);
    expect(toolIn(chat, "c1").waitsFor).toBeNull();
    expect(toolIn(chat, "c2")).toMatchObject({ name: "pay", waitsFor: "approval" });
    const ended = chatOf([waiting("approval", "c2"), { type: "RUN_ERROR", message: "x", code: "CANCELLED" }]);
    expect(toolIn(ended, "c2").waitsFor).toBeNull();
    expect(ended.end).toMatchObject({ status: "cancelled", message: "x" });
  });

  test("puts what the user says where a turn takes it up", () => {
    const said = (message: string, more: object = {}): Told =>
      custom("perdure.signal", { name: "UserInput", payload: { message }, ...more });
    const told = [...text("m1", "first"), said("next"), said("yes", { answers: "c9" })];
    const before = chatOf(told);
    expect(words(before)).toEqual(["text: first", "user: yes"]);
    expect(before.queued.map((item) => item.text)).toEqual(["next"]);
    const ended = custom("perdure.turn.ended", {
      turn: 1,
      status: "completed",
      metadata: { outputTokens: 2 },
    });
    const started = custom("perdure.turn.started", { turn: 2, messageId: "u" });
    expect(chatOf([...told, ended]).turn).toMatchObject({ stopped: false, usage: { outputTokens: 2 } });
    const after = chatOf([...told, ended, started, ...text("m2", "second")]);
    expect(words(after)).toEqual(["text: first", "user: yes", "user: next", "text: second"]);
    expect(after.queued).toEqual([]);
    expect(after.turn).toBeNull();
  });

  test("shows an input request once, as it is now", () => {
    const request = (status: string): Told =>
      custom("veryfront.input_request.lifecycle", { action: "x", inputRequest: { id: "q", status } });
    const chat = chatOf([request("open"), request("submitted")]);
    expect(chat.items).toMatchObject([{ kind: "input", request: { status: "submitted" } }]);
  });

  test("goes on after a restart", () => {
    const restarted = custom("perdure.run.restarted", { from: "failed", fresh: false });
    const chat = chatOf([{ type: "RUN_ERROR", message: "no", code: "FAILED" }, restarted]);
    expect(chat.end).toBeNull();
    expect(words(chat)).toEqual(["notice: Restarted"]);
  });

  test("makes an item of chunks, and of an id that is used twice", () => {
    const chunk = (delta: string, messageId?: string): Told => ({
      ...{ type: "TEXT_MESSAGE_CHUNK", delta },
      ...(messageId ? { messageId } : {}),
    });
    expect(words(chatOf([chunk("a", "m1"), chunk("b")]))).toEqual(["text: ab"]);
    const twice = chatOf([...text("m1", "a"), ...text("m1", "b")]);
    expect(words(twice)).toEqual(["text: a", "text: b"]);
    expect(new Set(twice.items.map((item) => item.id)).size).toBe(2);
  });
});
