// The server's streams, as the client's decoder understands them.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { appendConversationRunEvents, createConversationAgentRun, finalizeConversationAgentRun } from "veryfront/agent";
import { createRunsClient } from "veryfront/runs";
import { api, call, eventsOf, eventually, folder, newConversation, projectId, restartServer, text } from "./perdure.mjs";
import { random, startProxy } from "../shared/proxy.mjs";
import { kinds, reader, said } from "./reader.mjs";

const client = createRunsClient({ ...api, projectReference: projectId, retry: { maxRetries: 0 } });
const model = { provider: "somebody", model: "small" };

async function mirrored() {
  return await createConversationAgentRun({ ...api, conversationId: await newConversation(), agentId: "elsewhere" });
}

async function started(agent_id, content = "go") {
  const created = await call("POST", "/runs", {
    kind: "agent",
    owner: { kind: "project", id: projectId },
    conversation_mode: "create_new",
    request: {
      mode: "agent",
      agent_id,
      input: { messages: [{ role: "user", content }], context: { project_id: null, branch_id: null } },
    },
  });
  return { conversationId: created.conversation_id, runId: created.run.run_id };
}

test("every event of the vocabulary arrives as what it is", async () => {
  const run = await mirrored();
  const live = reader(run);
  const followed = live.follow();
  const events = [
    { type: "RUN_STARTED", runId: run.runId, threadId: run.conversationId },
    { type: "REASONING_MESSAGE_START", messageId: "r", role: "assistant" },
    { type: "REASONING_MESSAGE_CONTENT", messageId: "r", delta: "Hm, “ü”\u2028 \n\r\n data: x" },
    { type: "REASONING_MESSAGE_END", messageId: "r" },
    { type: "TEXT_MESSAGE_START", messageId: "m", contentId: "c", role: "assistant" },
    text(0),
    { type: "TEXT_MESSAGE_END", messageId: "m", contentId: "c" },
    { type: "STEP_STARTED", stepName: "step-1" },
    { type: "TOOL_CALL_START", toolCallId: "t", toolCallName: "look" },
    { type: "TOOL_CALL_ARGS", toolCallId: "t", delta: '{"at":' },
    { type: "TOOL_CALL_ARGS", toolCallId: "t", delta: '"it"}' },
    { type: "TOOL_CALL_END", toolCallId: "t" },
    { type: "TOOL_CALL_RESULT", messageId: "m:tool:t", toolCallId: "t", content: '{"seen":true}', role: "tool" },
    { type: "STEP_FINISHED", stepName: "step-1" },
    { type: "STATE_SNAPSHOT", snapshot: { a: 1 } },
    { type: "STATE_DELTA", delta: [{ op: "add", path: "/b", value: 2 }] },
    { type: "CUSTOM", name: "mine", value: { deep: [null] } },
    { type: "CUSTOM", name: "source", value: { type: "source-url", url: "https://example.org/" } },
    { type: "MESSAGES_SNAPSHOT", messages: [{ id: "m", role: "assistant", content: "word 0 " }] },
  ];
  for (const event of events) await appendConversationRunEvents({ ...api, ...run, events: [event] });
  const usage = { inputTokens: 1, outputTokens: 2, totalTokens: 3 };
  await finalizeConversationAgentRun({ ...api, ...run, ...model, usage, status: "completed", finishReason: "length" });
  const heard = await followed;
  assert.equal(heard.connections, 1);
  assert.deepEqual(kinds(heard), [
    "start",
    "reasoning-start",
    "reasoning-delta",
    "reasoning-end",
    "text-start",
    "text-delta",
    "text-end",
    "tool-input-start",
    "tool-input-delta",
    "tool-input-delta",
    "tool-input-available",
    "tool-output-available",
    "data-state-snapshot",
    "data-state-delta",
    "data-mine",
    "source-url",
    "data-messages-snapshot",
    "finish",
  ]);
  const chat = Object.fromEntries(heard.chat.map((event) => [event.type, event]));
  assert.equal(chat["reasoning-delta"].delta, events[2].delta);
  assert.deepEqual(chat["tool-input-available"].input, { at: "it" });
  assert.deepEqual(chat["tool-output-available"].output, { seen: true });
  assert.deepEqual(chat["data-mine"].data, { deep: [null] });
  assert.equal(chat.finish.finishReason, "length");

  const late = await reader(run).follow();
  assert.deepEqual(late.wire, heard.wire, "who comes later hears the same");
  assert.deepEqual(late.ids, heard.ids);
});

test("a reader who is cut off again and again misses nothing and hears nothing twice", async () => {
  const run = await mirrored();
  const heard = reader(run);
  const followed = heard.follow();
  for (let number = 0; number < 60; number += 1) {
    await appendConversationRunEvents({ ...api, ...run, events: [text(number)] });
    if (number % 15 === 7) {
      const before = heard.connections;
      heard.controller.abort();
      await eventually(() => heard.connections > before, "the reader is back");
    }
  }
  await finalizeConversationAgentRun({ ...api, ...run, ...model, status: "completed" });
  await followed;
  assert.ok(heard.connections >= 5);
  assert.equal(said(heard), Array.from({ length: 60 }, (_, number) => text(number).delta).join(""));
  // A replay that overlaps is dropped by the decoder: the ids are the ones that it has seen.
  const count = heard.chat.length;
  await heard.connect(10);
  assert.equal(heard.chat.length, count);
});

test("a stream that is cut anywhere, within a frame or a letter, is heard once and whole", async () => {
  const run = await mirrored();
  const proxy = await startProxy();
  const chance = random(5);
  proxy.cut = () => 100 + Math.floor(chance() * 900);
  const heard = reader(run, proxy.url);
  const followed = heard.follow();
  const words = Array.from({ length: 40 }, (_, number) => ({ ...text(number), delta: `„${number}“ ü🦥\u2028 ` }));
  for (let from = 0; from < words.length; from += 4) {
    await appendConversationRunEvents({ ...api, ...run, events: words.slice(from, from + 4) });
  }
  await finalizeConversationAgentRun({ ...api, ...run, ...model, status: "completed" });
  await followed;
  proxy.close();
  assert.ok(heard.connections > 5);
  assert.deepEqual(heard.ids, Array.from({ length: 41 }, (_, index) => index + 1));
  assert.equal(said(heard), words.map(({ delta }) => delta).join(""));
});

test("a cancelled run ends with an abort, a failed one with its message", async () => {
  const cancelled = await mirrored();
  const abort = reader(cancelled).follow();
  await client.cancel(cancelled.runId);
  assert.deepEqual(kinds(await abort), ["abort"]);

  const failed = await mirrored();
  const error = { terminalErrorCode: "STREAM_ERROR", terminalErrorMessage: "The model went away." };
  await finalizeConversationAgentRun({ ...api, ...failed, ...model, ...error, status: "failed" });
  const heard = await reader(failed).follow();
  assert.deepEqual(heard.chat, [{ type: "error", errorText: "The model went away." }]);
});

test("agents that the server executes speak the same language", async () => {
  const run = await started("two_tools");
  writeFileSync(join(folder, "go"), "");
  const heard = await reader(run).follow();
  assert.equal(kinds(heard)[0], "start");
  assert.equal(kinds(heard).at(-1), "finish");
  assert.equal(said(heard), "both done");
  const results = heard.chat.filter(({ type }) => type === "tool-output-available");
  assert.deepEqual(results.map(({ toolCallId, output }) => [toolCallId, output]), [["call-0", "one"], ["call-1", "two"]]);
  const names = heard.chat.filter(({ type }) => type === "tool-input-available").map(({ toolName }) => toolName);
  assert.deepEqual(names, ["first", "second"]);
  const wanted = (await eventsOf(client, run.runId)).filter(({ type }) => !type.startsWith("STEP_"));
  assert.equal(heard.wire.length, wanted.length, "no event was left out by the decoder");
});

test("the demo agent, with its plan, its tools and an approval", async () => {
  const run = await started("demo", "Send a mail.");
  const heard = reader(run);
  const followed = heard.follow();
  const waiting = () => heard.wire.find(({ payload }) => payload.name === "perdure.run.waiting");
  await eventually(waiting, "the agent asks");
  const { waiting_tool_call_id: tool_call_id } = await call(
    "GET",
    `/conversations/${run.conversationId}/runs/${run.runId}`,
  );
  await call("POST", `/runs/${run.runId}/resume`, { type: "approval", tool_call_id, approved: true });
  await followed;
  assert.equal(kinds(heard).at(-1), "finish");
  const open = new Set();
  for (const { type, toolCallId } of heard.chat) {
    if (type === "tool-input-start") open.add(toolCallId);
    if (type === "tool-output-available") assert.ok(open.delete(toolCallId));
  }
  assert.equal(open.size, 0, "every tool call has its result");
});

test("the server dies while it tells a story: the reader comes back and has the whole of it", async () => {
  const run = await started("storyteller");
  const heard = reader(run);
  const followed = heard.follow();
  await eventually(() => said(heard).length > 20, "the story begins");
  await restartServer();
  await followed;
  assert.ok(heard.connections > 1);
  const gone = heard.wire
    .filter(({ payload }) => payload.name === "perdure.message.superseded")
    .map(({ payload }) => payload.value.messageId);
  const story = heard.chat.filter(({ type, id }) => type === "text-delta" && !gone.includes(id));
  assert.equal(
    story.map(({ delta }) => delta).join(""),
    Array.from({ length: 120 }, (_, number) => `w${number} `).join(""),
  );
  assert.equal(kinds(heard).at(-1), "finish");
});
