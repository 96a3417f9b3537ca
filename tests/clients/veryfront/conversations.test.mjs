// Conversations, their messages, and runs that begin with them.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import {
  appendConversationRunEvents,
  bootstrapConversationAgentRun,
  bootstrapHostedChildRun,
  createConversationMessage,
  createConversationRecord,
  ensureConversationProjectLink,
  fetchConversationRecord,
  fetchLatestConversationUserText,
  finalizeConversationAgentRun,
  getConversationRun,
  persistConversationUserMessage,
  persistLatestConversationUserMessage,
  prepareHostedConversationRootRunContext,
} from "veryfront/agent";
import { createDurableRunCanaryApiClient, createDurableRunCanaryRunner } from "veryfront/eval/agent-service";
import { createRunsClient } from "veryfront/runs";
import { api, call, eventsOf, eventually, newId, projectId } from "./perdure.mjs";

const client = createRunsClient({ ...api, projectReference: projectId, retry: { maxRetries: 0 } });
const model = { provider: "somebody", model: "small" };
const canary = createDurableRunCanaryApiClient({ ...api, agentId: "elsewhere", projectId, requestTimeoutMs: 20_000 });
const says = (content, id = randomUUID()) => ({ id, role: "user", parts: [{ type: "text", text: content }] });
const messagesOf = (conversationId) => canary.listMessagesForCanary({ conversationId });
const textOf = ({ parts }) => parts.filter(({ type }) => type === "text").map(({ text }) => text).join("");

async function fresh(body = { type: "chat", title: "A talk", project_id: projectId }) {
  return await createConversationRecord({ ...api, body });
}

test("a conversation is made, read and linked to its project", async () => {
  const made = await fresh({ type: "project_agent", title: "t", project_id: projectId, metadata: { hidden: true } });
  assert.equal(made.projectId, projectId);
  const read = await fetchConversationRecord({ ...api, conversationId: made.id });
  assert.deepEqual(read, made);
  await ensureConversationProjectLink({ ...api, conversationId: made.id, projectId });
  const unlinked = await fresh({ type: "chat" });
  await ensureConversationProjectLink({ ...api, conversationId: unlinked.id, projectId });
  await assert.rejects(fetchConversationRecord({ ...api, conversationId: randomUUID() }), /\(404\)/);
});

test("messages, each once however often it is sent", async () => {
  const { id: conversationId } = await fresh();
  const body = { role: "user", parts: [{ type: "text", text: "Hello" }] };
  const first = await createConversationMessage({ ...api, conversationId, body });
  const message = says("And again");
  const second = await persistConversationUserMessage({ ...api, conversationId, message, parentMessageId: first.id });
  const again = await persistConversationUserMessage({ ...api, conversationId, message, parentMessageId: first.id });
  assert.equal(again.id, second.id);
  const latest = says("The last one");
  await persistLatestConversationUserMessage({
    ...api,
    conversationId,
    enabled: true,
    messages: [message, { id: second.id, role: "assistant", parts: [{ type: "text", text: "…" }] }, latest],
  });
  const found = await messagesOf(conversationId);
  assert.deepEqual(found.map(textOf), ["Hello", "And again", "The last one"]);
  assert.deepEqual(found.slice(0, 2).map(({ id }) => id), [first.id, second.id]);
  assert.equal(await fetchLatestConversationUserText({ ...api, conversationId }), "The last one");
});

test("parts of every kind come back as the client made them", async () => {
  const { id: conversationId } = await fresh();
  const url = `https://example.org/${randomUUID()}`;
  const message = {
    id: randomUUID(),
    role: "user",
    metadata: { from: "a test" },
    parts: [
      { type: "text", text: "“ü”\u2028" },
      { type: "reasoning", text: "Hm.", signature: "s" },
      { type: "source-url", sourceId: "s1", url: "https://example.org/", title: "A page" },
      { type: "source-document", sourceId: "s2", mediaType: "text/plain", title: "A text" },
      { type: "file", mediaType: "image/png", url },
      { type: "file", mediaType: "text/plain", url },
      { type: "data-mine", data: { any: [1, null] } },
      { type: "dynamic-tool", toolName: "look", toolCallId: "a", state: "input-available", input: { at: "it" } },
      { type: "tool-look", toolCallId: "b", state: "output-available", input: {}, output: { seen: [true] } },
      { type: "tool-look", toolCallId: "c", state: "output-error", input: {}, errorText: "No." },
    ],
  };
  await persistConversationUserMessage({ ...api, conversationId, message });
  const upload_id = url.split("/").at(-1);
  const completed = (id) => ({ type: "tool_call", id, name: "look", input: {}, state: "completed" });
  assert.deepEqual((await messagesOf(conversationId))[0].parts, [
    { type: "text", text: "“ü”\u2028" },
    { type: "reasoning", text: "Hm.", signature: "s" },
    { type: "citation", source_id: "s1", title: "A page", url: "https://example.org/" },
    { type: "citation", source_id: "s2", title: "A text" },
    { type: "image", upload_id, media_type: "image/png", url },
    { type: "file", upload_id, media_type: "text/plain", url },
    { type: "data", name: "mine", value: { any: [1, null] } },
    { type: "tool_call", id: "a", name: "look", input: { at: "it" }, state: "pending" },
    completed("b"),
    { type: "tool_result", tool_call_id: "b", output: { seen: [true] }, is_error: false },
    completed("c"),
    { type: "tool_result", tool_call_id: "c", output: "No.", is_error: true },
  ]);
});

test("a refused message is told with its reason", async () => {
  const failures = [];
  await assert.rejects(
    persistConversationUserMessage({
      ...api,
      conversationId: randomUUID(),
      message: says("Hello"),
      onFailure: (failure) => failures.push(failure),
    }),
  );
  assert.equal(failures[0].status, 404);
  assert.ok(JSON.parse(failures[0].body).detail);
});

test("conversation, message and run in one go", async () => {
  const runId = newId();
  const { conversation, message, run } = await bootstrapConversationAgentRun({
    ...api,
    conversationBody: { type: "agent_task", title: "A task", project_id: projectId },
    handoffMessageBody: { role: "user", parts: [{ type: "text", text: "Do it." }] },
    runId,
    agentId: "elsewhere",
  });
  assert.equal(conversation.projectId, projectId);
  assert.equal(run.runId, runId);
  assert.equal(run.conversationId, conversation.id);
  assert.equal((await messagesOf(conversation.id))[0].id, message.id);
});

test("what a run said is the conversation's message after its end", async () => {
  const { id: conversationId } = await fresh();
  const user = says("What is it?");
  const { durableRootRun: run, durableRunMirror: mirror } = await prepareHostedConversationRootRunContext(
    {
      ...api,
      conversationId,
      projectId,
      agentId: "elsewhere",
      messages: [user],
      persistLatestUserMessageBeforeRun: true,
    },
    { abortSignal: new AbortController().signal },
  );
  await mirror.handleChunk({ type: "tool-input-start", toolCallId: "call", toolName: "look" });
  await mirror.handleChunk({ type: "tool-input-available", toolCallId: "call", toolName: "look", input: { at: "it" } });
  await mirror.handleChunk({ type: "tool-output-available", toolCallId: "call", output: { seen: true } });
  await mirror.handleChunk({ type: "text-start", id: "c", messageId: run.messageId });
  for (const delta of ["It ", "is ", "a log."]) {
    await mirror.handleChunk({ type: "text-delta", id: "c", messageId: run.messageId, delta });
  }
  await mirror.handleChunk({ type: "text-end", id: "c", messageId: run.messageId });
  await mirror.flush();
  mirror.dispose();
  await finalizeConversationAgentRun({ ...api, ...run, ...model, status: "completed" });
  let messages;
  await eventually(async () => {
    messages = await messagesOf(conversationId);
    return messages.some(({ id, status }) => id === run.messageId && status === "completed");
  }, "the run's message is there");
  assert.deepEqual(messages.map(({ role }) => role), ["user", "assistant"]);
  assert.equal(textOf(messages[0]), "What is it?");
  assert.equal(textOf(messages[1]), "It is a log.");
  const { id, name, input } = messages[1].parts.find(({ type }) => type === "tool_call");
  assert.deepEqual([id, name, input], ["call", "look", { at: "it" }]);
  const { tool_call_id, output } = messages[1].parts.find(({ type }) => type === "tool_result");
  assert.equal(tool_call_id, "call");
  assert.deepEqual(typeof output === "string" ? JSON.parse(output) : output, { seen: true });
});

test("a child of a run, in a conversation of its own", async () => {
  const { id: parentConversationId } = await fresh();
  const parent = await bootstrapConversationAgentRun({
    ...api,
    conversationBody: { type: "chat", project_id: projectId },
    handoffMessageBody: { role: "user", parts: [{ type: "text", text: "Begin." }] },
    agentId: "elsewhere",
  });
  const child = await bootstrapHostedChildRun({
    ...api,
    ensureProjectId: projectId,
    runProjectId: projectId,
    parentConversationId,
    parentRunId: parent.run.runId,
    parentMessageId: parent.run.messageId,
    spawnedFromToolCallId: "call_1",
    description: "A part of it",
    prompt: "Do a part.",
    agentId: "elsewhere",
  });
  assert.equal(child.status, "running");
  assert.notEqual(child.childConversationId, parentConversationId);
  assert.equal((await client.get(child.childRunId)).root_run_id, parent.run.runId);
  assert.equal(textOf((await messagesOf(child.childConversationId))[0]), "Do a part.");
});

test("the canary: recorded first, started with its message, run by the server, read as a message", async () => {
  const runner = createDurableRunCanaryRunner({
    ...api,
    agentId: "echo",
    projectId,
    requestTimeoutMs: 30_000,
    keepSuccessfulEvidence: true,
  });
  const { id: conversationId } = await fresh();
  const result = await runner.runCase({
    id: "echo",
    label: "Echo",
    prepare: () => ({
      conversationId,
      title: "Echo",
      prompt: "Say this.",
      followUpPrompt: "And say that.",
      cleanup: () => {},
      validate: ({ messages, run }) => {
        assert.equal(run.status, "completed");
        assert.deepEqual(messages.map(({ role }) => role), ["user", "assistant", "user", "assistant"]);
        assert.deepEqual(messages.map(textOf), ["Say this.", "Say this.", "And say that.", "And say that."]);
        assert.equal(messages[3].id, run.messageId);
      },
    }),
  });
  assert.equal(result.status, "pass", result.details);
  const events = await eventsOf(client, result.runId);
  assert.equal(events.filter(({ type }) => type === "RUN_STARTED").length, 1);
});

test("a run that was recorded and started is started once", async () => {
  const { id: conversationId } = await fresh();
  const echo = createDurableRunCanaryApiClient({ ...api, agentId: "echo", projectId, requestTimeoutMs: 20_000 });
  const { id: userMessageId } = await echo.sendUserMessageForCanary({ conversationId, prompt: "Once." });
  const runId = newId();
  await echo.createDurableRootRun({ conversationId, runId });
  await echo.createDurableRootRun({ conversationId, runId });
  const recorded = await echo.getRunSummary({ conversationId, runId });
  assert.equal(recorded.status, "pending");
  const start = { conversationId, runId, messageId: recorded.messageId, prompt: "Once.", userMessageId };
  await Promise.all([echo.startDurableRun(start), echo.startDurableRun(start), echo.startDurableRun(start)]);
  const ended = () => echo.getRunSummary({ conversationId, runId });
  await eventually(async () => (await ended()).status === "completed", "the run ends");
  await echo.startDurableRun(start);
  const events = await eventsOf(client, runId);
  const words = events.filter(({ type }) => type === "TEXT_MESSAGE_CONTENT").map(({ delta }) => delta);
  assert.equal(words.join(""), "Once.");
  assert.equal(events.filter(({ type }) => type === "RUN_FINISHED").length, 1);
});

test("a deleted conversation is gone, and its writer stops", async () => {
  const { id: conversationId } = await fresh();
  const { durableRootRun: run, durableRunMirror: mirror } = await prepareHostedConversationRootRunContext(
    { ...api, conversationId, projectId, agentId: "elsewhere", messages: [], persistLatestUserMessageBeforeRun: false },
    { abortSignal: new AbortController().signal },
  );
  await appendConversationRunEvents({ ...api, ...run, events: [{ type: "CUSTOM", name: "n", value: 1 }] });
  await finalizeConversationAgentRun({ ...api, ...run, ...model, status: "completed" });
  const response = await fetch(`${api.apiUrl}/conversations/${conversationId}`, {
    method: "DELETE",
    headers: { Authorization: `Bearer ${api.authToken}` },
  });
  assert.ok(response.ok);
  await assert.rejects(fetchConversationRecord({ ...api, conversationId }), /\(404\)/);
  await assert.rejects(getConversationRun({ ...api, ...run }), /\(404\)/);
  await mirror.appendEvents([{ type: "CUSTOM", name: "n", value: 2 }]);
  assert.equal((await mirror.flush()).disabled, true);
  mirror.dispose();
  assert.ok(await call("GET", "/conversations"));
});
