// Runs that somebody else executes and this server keeps: the functions of `veryfront/agent` for a conversation's run.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import {
  AppendConversationRunEventsError,
  appendConversationRunEvents,
  createConversationAgentRun,
  createConversationChildLifecycleAdapter,
  createConversationHostedStreamLifecycleAdapter,
  finalizeConversationAgentRun,
  getConversationRun,
  isCursorMismatchConversationRunAppendError,
  isIgnorableConversationRunAppendError,
  monitorConversationRunStatus,
  prepareHostedConversationRootRunContext,
  publishInvokeAgentChildRunProgress,
  recoverConversationRunAppendFailure,
} from "veryfront/agent";
import { createRunsClient } from "veryfront/runs";
import { api, call, eventsOf, eventually, newConversation, newId, projectId, text, waitingRun } from "./perdure.mjs";

const client = createRunsClient({ ...api, projectReference: projectId, retry: { maxRetries: 0 } });
const agentId = "elsewhere";
const model = { provider: "somebody", model: "small" };

async function fresh(more = {}) {
  return await createConversationAgentRun({ ...api, conversationId: await newConversation(), agentId, ...more });
}

const refusal = async (append) => {
  const error = await append.then(() => assert.fail("this append is to be refused"), (thrown) => thrown);
  assert.ok(error instanceof AppendConversationRunEventsError, String(error));
  return error;
};

test("a run from its creation to its end", async () => {
  const runId = newId();
  const run = await fresh({ runId, projectId });
  assert.equal(run.runId, runId);
  assert.equal(run.status, "running");
  assert.equal(run.latestEventId, 0);
  assert.equal(run.latestExternalEventSequence, 0);
  assert.equal(run.waitingToolCallId, null);
  assert.equal(run.waitingToolName, null);
  const canonical = await client.get(runId);
  assert.deepEqual(canonical.owner, { kind: "conversation", id: run.conversationId });
  assert.equal(canonical.runtime_target_kind, "main_branch");

  const first = await appendConversationRunEvents({ ...api, ...run, events: [text(0), text(1)] });
  assert.equal(first.appendedCount, 2);
  assert.equal(first.latestExternalEventSequence, 2);
  const second = await appendConversationRunEvents({
    ...api,
    ...run,
    expectedPreviousEventId: first.latestEventId,
    expectedPreviousExternalEventSequence: 2,
    events: [text(2)],
  });
  assert.equal(second.latestExternalEventSequence, 3);
  const again = await appendConversationRunEvents({
    ...api,
    ...run,
    expectedPreviousEventId: first.latestEventId,
    events: [text(2)],
  });
  assert.equal(again.appendedCount, 0);
  assert.equal(again.latestEventId, second.latestEventId);

  const usage = { inputTokens: 12, outputTokens: 3, totalTokens: 15 };
  await finalizeConversationAgentRun({ ...api, ...run, ...model, usage, status: "completed" });
  const ended = await getConversationRun({ ...api, ...run });
  assert.equal(ended.status, "completed");
  assert.equal(ended.latestExternalEventSequence, 3);
  assert.ok(ended.latestEventId > second.latestEventId);
  const events = await eventsOf(client, runId);
  assert.deepEqual(events.slice(0, 3), [text(0), text(1), text(2)]);
  assert.equal(events.length, 4);
  assert.equal(events[3].type, "RUN_FINISHED");
  assert.deepEqual(events[3].metadata, { ...model, inputTokens: 12, outputTokens: 3, finishReason: "stop" });
  const { status, completed_at } = await client.get(runId);
  assert.equal(status, "completed");
  assert.notEqual(completed_at, null);
});

test("the first end wins, and a repeated one is answered", async () => {
  const run = await fresh();
  const failed = { terminalErrorCode: "STREAM_ERROR", terminalErrorMessage: "The model went away." };
  await finalizeConversationAgentRun({ ...api, ...run, ...model, ...failed, status: "failed" });
  await finalizeConversationAgentRun({ ...api, ...run, ...model, ...failed, status: "failed" });
  await finalizeConversationAgentRun({ ...api, ...run, ...model, status: "completed" });
  assert.equal((await getConversationRun({ ...api, ...run })).status, "failed");
  const { error } = await client.get(run.runId);
  assert.deepEqual({ ...error }, { message: "The model went away.", code: "STREAM_ERROR" });
  const ends = (await eventsOf(client, run.runId)).filter(({ type }) => /^RUN_(FINISHED|ERROR)$/.test(type));
  assert.equal(ends.length, 1);
  assert.equal(ends[0].code, "STREAM_ERROR");
});

test("refused appends are errors that the client tells apart", async () => {
  const run = await fresh();
  await appendConversationRunEvents({ ...api, ...run, events: [text(0)] });
  for (const cursor of [{ expectedPreviousEventId: 0 }, { expectedPreviousExternalEventSequence: 0 }]) {
    const mismatch = await refusal(appendConversationRunEvents({ ...api, ...run, ...cursor, events: [text(1)] }));
    assert.ok(isCursorMismatchConversationRunAppendError(mismatch), String(mismatch));
    assert.ok(!isIgnorableConversationRunAppendError(mismatch));
  }
  await finalizeConversationAgentRun({ ...api, ...run, ...model, status: "cancelled" });
  const late = await refusal(appendConversationRunEvents({ ...api, ...run, events: [text(1)] }));
  assert.ok(isIgnorableConversationRunAppendError(late), String(late));
  const unknown = await refusal(appendConversationRunEvents({ ...api, ...run, runId: newId(), events: [text(1)] }));
  assert.equal(unknown.status, 404);
  assert.ok(isIgnorableConversationRunAppendError(unknown));
  const elsewhere = { ...run, conversationId: randomUUID() };
  assert.equal((await refusal(appendConversationRunEvents({ ...api, ...elsewhere, events: [text(1)] }))).status, 404);
});

test("no client can end a run with an event", async () => {
  const run = await fresh();
  for (const type of ["RUN_FINISHED", "RUN_ERROR"]) {
    const refused = await refusal(appendConversationRunEvents({ ...api, ...run, events: [{ type }] }));
    assert.equal(refused.status, 400);
    assert.ok(!isCursorMismatchConversationRunAppendError(refused));
  }
  assert.equal((await getConversationRun({ ...api, ...run })).latestEventId, 0);
});

test("an over-size event that gets past the client is refused in words that it knows", async () => {
  const run = await fresh();
  const response = await fetch(`${api.apiUrl}/conversations/${run.conversationId}/runs/${run.runId}/events`, {
    method: "POST",
    headers: { Authorization: `Bearer ${api.authToken}`, "Content-Type": "application/json" },
    body: JSON.stringify({ events: [{ ...text(0), delta: "x".repeat(300_000) }] }),
  });
  const { detail } = await response.json();
  const error = new AppendConversationRunEventsError({ status: response.status, detail });
  const cursor = { latestEventId: 0, latestExternalEventSequence: 0, cursorResyncsThisFlush: 0 };
  const recovery = await recoverConversationRunAppendFailure({
    ...api, ...run, ...cursor, error, maxCursorResyncsPerFlush: 3,
  });
  assert.equal(recovery.outcome, "stopped");
  assert.equal(recovery.disableReason, "payload_too_large");
});

test("a run for an agent of another implementation waits for its worker", async () => {
  const run = await fresh({ implementationKind: "elsewhere-kind" });
  assert.equal(run.status, "pending");
  assert.equal((await client.get(run.runId)).status, "pending");
  assert.equal((await client.cancel(run.runId)).cancelled, true);
});

test("a run on a branch", async () => {
  const branchId = randomUUID();
  const run = await fresh({ projectId, branchId });
  const canonical = await client.get(run.runId);
  assert.equal(canonical.runtime_target_kind, "preview_branch");
  assert.equal(canonical.runtime_target_branch_id, branchId);
});

test("the same run asked for twice is one run", async () => {
  const conversationId = await newConversation();
  const wanted = { ...api, conversationId, agentId, runId: newId() };
  const first = await createConversationAgentRun(wanted);
  await appendConversationRunEvents({ ...api, ...first, events: [text(0)] });
  const second = await createConversationAgentRun(wanted);
  assert.equal(second.messageId, first.messageId);
  assert.equal(second.latestExternalEventSequence, 1);
});

test("a monitor hears of a cancellation", async () => {
  const run = await fresh();
  let heard;
  const errors = [];
  const monitor = monitorConversationRunStatus({
    ...api,
    ...run,
    pollIntervalMs: 20,
    onTerminal: (error) => {
      heard = error;
    },
    onPollError: (error) => errors.push(error),
  });
  await client.cancel(run.runId);
  await monitor;
  assert.equal(heard.status, "cancelled");
  assert.equal(heard.run.runId, run.runId);
  assert.deepEqual(errors, []);
});

test("a hosted stream is kept with both cursors, chunk after chunk, and ended", async () => {
  const adapter = createConversationHostedStreamLifecycleAdapter({
    ...api,
    startRun: () => fresh(),
    resolveFinalizeInput: () => ({ ...model, usage: { inputTokens: 1, outputTokens: 2, totalTokens: 3 } }),
  });
  const run = await adapter.startRun({ abortSignal: new AbortController().signal });
  const chunks = [
    { type: "text-start", id: "t1", messageId: "m1" },
    ...Array.from({ length: 20 }, (_, number) => ({
      type: "text-delta",
      id: "t1",
      messageId: "m1",
      delta: `${number} `,
    })),
    { type: "text-end", id: "t1", messageId: "m1" },
  ];
  await Promise.all(chunks.map((chunk) => adapter.appendEvents(run, chunk)));
  await adapter.finalizeRun(run, { status: "completed" });
  const events = await eventsOf(client, run.runId);
  assert.equal(events.length, chunks.length + 1);
  const said = events.filter(({ type }) => type === "TEXT_MESSAGE_CONTENT").map(({ delta }) => delta);
  assert.equal(said.join(""), Array.from({ length: 20 }, (_, number) => `${number} `).join(""));
  assert.equal(events.at(-1).type, "RUN_FINISHED");
});

test("a root run with its mirror, as a hosted agent prepares them", async () => {
  const context = await prepareHostedConversationRootRunContext(
    {
      ...api,
      conversationId: await newConversation(),
      projectId,
      agentId,
      messages: [{ id: "u1", role: "user", parts: [{ type: "text", text: "Hello" }] }],
      persistLatestUserMessageBeforeRun: false,
    },
    { abortSignal: new AbortController().signal },
  );
  const { durableRootRun: run, durableRunMirror: mirror } = context;
  await mirror.handleChunk({ type: "reasoning-start", id: "r" });
  await mirror.handleChunk({ type: "reasoning-delta", id: "r", delta: "Hm." });
  await mirror.handleChunk({ type: "reasoning-end", id: "r" });
  await mirror.handleChunk({ type: "tool-input-start", toolCallId: "call", toolName: "look" });
  await mirror.handleChunk({ type: "tool-input-available", toolCallId: "call", toolName: "look", input: { at: "it" } });
  await mirror.handleChunk({ type: "tool-output-available", toolCallId: "call", output: { seen: true } });
  await mirror.appendEvents([{ type: "CUSTOM", name: "mine", value: [1] }]);
  await context.publishParentRunEvents([{ type: "STEP_STARTED", stepName: "step-1" }]);
  const { pendingEventCount, disabled } = await mirror.flush();
  mirror.dispose();
  assert.equal(pendingEventCount, 0);
  assert.equal(disabled, false);
  assert.deepEqual(
    (await eventsOf(client, run.runId)).map(({ type }) => type),
    [
      "REASONING_MESSAGE_START",
      "REASONING_MESSAGE_CONTENT",
      "REASONING_MESSAGE_END",
      "TOOL_CALL_START",
      "TOOL_CALL_ARGS",
      "TOOL_CALL_END",
      "TOOL_CALL_RESULT",
      "CUSTOM",
      "STEP_STARTED",
    ],
  );
});

test("a child tells its parent how it gets on, and is cancelled with it", async () => {
  const parent = await fresh({ projectId });
  const childOf = () => fresh({ projectId, parentRunId: parent.runId });
  const child = await childOf();
  const { parent_run_id, root_run_id } = await client.get(child.runId);
  assert.equal(parent_run_id, parent.runId);
  assert.equal(root_run_id, parent.runId);

  const progress = {
    toolCallId: "call/1",
    childConversationId: child.conversationId,
    childRunId: child.runId,
    childMessageId: child.messageId,
    childAgentId: agentId,
  };
  const adapter = createConversationChildLifecycleAdapter({
    ...api,
    ...model,
    parentConversationId: parent.conversationId,
    parentRunId: parent.runId,
    projectId,
    progress,
  });
  await adapter.pending();
  await adapter.running();
  await adapter.completed({ status: "completed", usage: { inputTokens: 1, outputTokens: 1 } });
  assert.equal((await getConversationRun({ ...api, ...child })).status, "completed");
  const told = await eventsOf(client, parent.runId);
  assert.deepEqual(told.map(({ type }) => type), Array(3).fill(["STATE_DELTA", "CUSTOM"]).flat());
  assert.deepEqual(
    told.filter(({ type }) => type === "CUSTOM").map(({ value }) => value.status),
    ["pending", "running", "completed"],
  );

  const left = await childOf();
  await client.cancel(parent.runId);
  await eventually(
    async () => (await getConversationRun({ ...api, ...left })).status === "cancelled",
    "the other child is cancelled too",
  );
  // An ended parent hears nothing more, and that is no error.
  await publishInvokeAgentChildRunProgress({
    ...api,
    conversationId: parent.conversationId,
    runId: parent.runId,
    ...progress,
    status: "failed",
  });
});

test("a run that waits for a person says so in both vocabularies, and takes no events", async () => {
  const { conversation_id: conversationId, run: canonical } = await waitingRun();
  const run = { conversationId, runId: canonical.run_id };
  const waiting = await getConversationRun({ ...api, ...run });
  assert.equal(waiting.status, "waiting_for_tool");
  assert.equal(waiting.waitingToolName, "send_email");
  assert.equal((await client.get(run.runId)).waiting_reason, "approval");
  const refused = await refusal(appendConversationRunEvents({ ...api, ...run, events: [text(0)] }));
  assert.ok(isIgnorableConversationRunAppendError(refused), String(refused));
  const approval = { type: "approval", tool_call_id: waiting.waitingToolCallId, approved: true };
  await call("POST", `/runs/${run.runId}/resume`, approval);
  await eventually(async () => (await client.get(run.runId)).status === "completed", "the agent goes on");
});
