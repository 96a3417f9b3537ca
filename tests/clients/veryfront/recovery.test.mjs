// Section 4 of the protocol: what the client does when something goes wrong, and what the server makes of it.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import {
  appendConversationRunEvents,
  createConversationAgentRun,
  createConversationHostedTerminalAdapter,
  createConversationRunChunkMirror,
  createConversationRunEventQueueController,
  finalizeConversationAgentRun,
  flushConversationRunEventBatches,
  flushConversationRunEventQueue,
  getConversationRun,
  monitorConversationRunStatus,
  parseAppendConversationRunEventsErrorBody,
  persistConversationUserMessage,
  recoverConversationRunAppendExecution,
  recoverConversationRunCursorMismatch,
} from "veryfront/agent";
import { createDurableRunCanaryApiClient } from "veryfront/eval/agent-service";
import { createRunsClient } from "veryfront/runs";
import { api, authToken, call, eventsOf, eventually, newConversation } from "./perdure.mjs";
import { newId, projectId, restartServer, text, waitingRun } from "./perdure.mjs";
import { random, startProxy } from "../shared/proxy.mjs";
import { kinds, reader, said } from "./reader.mjs";

const client = createRunsClient({ ...api, projectReference: projectId, retry: { maxRetries: 0 } });
const model = { provider: "somebody", model: "small" };
const texts = (from, to) => Array.from({ length: to - from }, (_, index) => text(from + index));
const isAppend = ({ method, path }) => method === "POST" && path.endsWith("/events");

let proxy;
/** Where the client believes the server to be. */
let through;

before(async () => {
  proxy = await startProxy();
  through = { apiUrl: proxy.url, authToken };
});
after(() => proxy.close());
beforeEach(() => {
  proxy.fate = () => "pass";
  proxy.seen.length = 0;
});

/** These fates for the first requests of a sort, and "pass" for all others. */
function first(fates, wanted = () => true) {
  const left = [...fates];
  return (request) => (wanted(request) && left.length > 0 ? left.shift() : "pass");
}

async function fresh(more = {}) {
  return await createConversationAgentRun({
    ...api,
    conversationId: await newConversation(),
    agentId: "elsewhere",
    ...more,
  });
}

const queue = (run, more = {}) =>
  createConversationRunEventQueueController({ ...through, ...run, maxEventsPerBatch: 24, ...more });

/** A run that waits for an approval, and how it is given. */
async function waiting() {
  const { conversation_id: conversationId, run } = await waitingRun();
  const projection = await getConversationRun({ ...api, conversationId, runId: run.run_id });
  assert.equal(projection.status, "waiting_for_tool");
  const approval = { type: "approval", tool_call_id: projection.waitingToolCallId, approved: true };
  return { ...projection, resume: () => call("POST", `/runs/${run.run_id}/resume`, approval) };
}

for (const fate of [500, 503, 429, "hide answer"]) {
  test(`an append that meets ${fate} is repeated as it was, and stored once`, async () => {
    const run = await fresh();
    const controller = queue(run);
    proxy.fate = first([fate, fate], isAppend);
    controller.enqueue(texts(0, 3));
    for (const failures of [1, 2]) {
      const failed = await controller.flush();
      assert.equal(failed.outcome, "retry_scheduled");
      assert.equal(failed.consecutiveFailures, failures);
    }
    const flushed = await controller.flush();
    assert.equal(flushed.outcome, "flushed");
    assert.equal(flushed.latestExternalEventSequence, 3);
    assert.deepEqual(await eventsOf(client, run.runId), texts(0, 3));
    const [one, ...others] = proxy.seen.map(({ body }) => body);
    assert.deepEqual(others, [one, one], "the same batch at the same cursor");
  });
}

test("lost answer, and the run has ended meanwhile with events of the server behind it", async () => {
  const run = await fresh();
  const controller = queue(run);
  proxy.fate = first(["hide answer"], isAppend);
  controller.enqueue(texts(0, 3));
  assert.equal((await controller.flush()).outcome, "retry_scheduled");
  await call("POST", `/runs/${run.runId}/signals/hello`, { value: 1 });
  await client.cancel(run.runId);
  controller.enqueue(texts(3, 4));
  const stopped = await controller.flush();
  assert.equal(stopped.outcome, "stopped", "the batch goes on with an event that comes too late");
  assert.equal(stopped.disableReason, "ignorable_append_rejection");
  const events = await eventsOf(client, run.runId);
  assert.deepEqual(events.slice(0, 3), texts(0, 3));
  assert.deepEqual(events.slice(3).map(({ type }) => type), ["CUSTOM", "RUN_ERROR"]);
});

test("lost answer, and somebody else wrote behind it: the batch is found again at its place", async () => {
  const run = await fresh();
  const controller = queue(run);
  proxy.fate = first(["hide answer"], isAppend);
  controller.enqueue(texts(0, 3));
  await controller.flush();
  const foreign = { type: "CUSTOM", name: "foreign", value: 1 };
  await appendConversationRunEvents({ ...api, ...run, events: [foreign] });
  assert.equal((await controller.flush()).outcome, "flushed");
  assert.equal(controller.getSnapshot().latestExternalEventSequence, 4);
  assert.deepEqual(await eventsOf(client, run.runId), [...texts(0, 3), foreign]);
});

test("a writer that is always too late gives up after three looks, each of which shows what was in its way", async () => {
  const run = await fresh();
  let foreign = 0;
  proxy.fate = async (request) => {
    if (!isAppend(request)) return "pass";
    foreign += 1;
    await appendConversationRunEvents({ ...api, ...run, events: [{ type: "CUSTOM", name: "foreign", value: foreign }] });
    return "pass";
  };
  const controller = queue(run);
  controller.enqueue(texts(0, 1));
  const stopped = await controller.flush();
  assert.equal(stopped.outcome, "stopped");
  assert.equal(stopped.disableReason, "cursor_resyncs_exhausted");
  assert.deepEqual(
    proxy.seen.map(({ method, status }) => [method, status]),
    [["POST", 400], ["GET", 200], ["POST", 400], ["GET", 200], ["POST", 400], ["GET", 200], ["POST", 400]],
  );
  assert.deepEqual(
    proxy.seen.filter(isAppend).map(({ body }) => body.expected_previous_external_event_sequence),
    [0, 1, 2, 3],
    "a read after a refusal shows the write that caused it",
  );
});

test("a look at the run that fails loses nothing", async () => {
  const run = await fresh();
  await appendConversationRunEvents({ ...api, ...run, events: texts(7, 8) });
  const controller = queue(run);
  proxy.fate = first(["lose answer"], ({ method }) => method === "GET");
  controller.enqueue(texts(0, 2));
  await assert.rejects(controller.flush());
  assert.equal(controller.getSnapshot().pendingEventCount, 2);
  assert.equal((await controller.flush()).outcome, "flushed");
  assert.deepEqual(await eventsOf(client, run.runId), [...texts(7, 8), ...texts(0, 2)]);
});

test("a run that waits stops its writer, whatever the cursor, and its monitor goes on until the end", async () => {
  const run = await waiting();
  for (const ahead of [0, 5]) {
    const controller = queue({ ...run, latestExternalEventSequence: run.latestExternalEventSequence + ahead });
    controller.enqueue(texts(0, 1));
    const stopped = await controller.flush();
    assert.equal(stopped.outcome, "stopped");
    assert.ok(["ignorable_append_rejection", "non_appendable"].includes(stopped.disableReason));
  }
  proxy.fate = first([500, "lose answer", "lose request"]);
  const errors = [];
  let end;
  const monitored = monitorConversationRunStatus({
    ...through,
    ...run,
    pollIntervalMs: 20,
    onTerminal: (state) => (end = state),
    onPollError: (error) => errors.push(error),
  });
  await eventually(() => errors.length === 3 && proxy.seen.length > 5, "the monitor bears three failures");
  assert.equal(end, undefined);
  await run.resume();
  await monitored;
  assert.equal(end.status, "completed");
  assert.equal(errors.length, 3);
});

test("a monitor that is told to stop, stops", async () => {
  const run = await fresh();
  const stop = new AbortController();
  const onTerminal = () => assert.fail("the run goes on");
  const ended = monitorConversationRunStatus({
    ...through,
    ...run,
    pollIntervalMs: 10,
    abortSignal: stop.signal,
    onTerminal,
  });
  await eventually(() => proxy.seen.length > 1, "it looks");
  stop.abort();
  await ended;
});

test("the steps of a flush, one by one", async () => {
  const run = await fresh();
  const cursor = { latestEventId: 0, latestExternalEventSequence: 0 };
  const input = { ...through, ...run, ...cursor, maxEventsPerBatch: 2, maxCursorResyncsPerFlush: 3 };
  const batches = await flushConversationRunEventBatches({ ...input, events: texts(0, 5) });
  assert.deepEqual(batches, { outcome: "flushed", latestEventId: 5, latestExternalEventSequence: 5 });
  // The monitor of the test before may still have a look at its own run on the way.
  assert.deepEqual(proxy.seen.filter(({ body }) => body).map(({ body }) => body.events.length), [2, 2, 1]);

  const stale = await flushConversationRunEventBatches({ ...input, events: texts(5, 6) });
  assert.deepEqual(
    [stale.outcome, stale.latestExternalEventSequence, stale.pendingEvents],
    ["resumed", 5, texts(5, 6)],
  );
  const whole = await flushConversationRunEventQueue({ ...input, events: texts(5, 8) });
  assert.deepEqual(whole, { outcome: "flushed", latestEventId: 8, latestExternalEventSequence: 8 });
  assert.deepEqual(await eventsOf(client, run.runId), texts(0, 8));

  const append = { ...api, ...run, expectedPreviousExternalEventSequence: 1, events: texts(9, 10) };
  const error = await appendConversationRunEvents(append).catch((thrown) => thrown);
  const recovery = { ...through, ...run, ...cursor, error, cursorResyncsThisFlush: 0, maxCursorResyncsPerFlush: 3 };
  assert.equal((await recoverConversationRunCursorMismatch(recovery)).outcome, "resumed");
  assert.equal(
    (await recoverConversationRunCursorMismatch({ ...recovery, latestExternalEventSequence: 8 })).outcome,
    "bubbled",
  );
  const execution = { ...recovery, remainingEvents: texts(9, 10), pendingEvents: texts(10, 11), consecutiveFailures: 0 };
  const resumed = await recoverConversationRunAppendExecution(execution);
  assert.deepEqual([resumed.outcome, resumed.pendingEvents], ["resumed", texts(9, 11)]);
  await client.cancel(run.runId);
  const ended = await recoverConversationRunAppendExecution(execution);
  assert.deepEqual([ended.outcome, ended.disableReason], ["stopped", "non_appendable"]);
});

test("every refusal of an append is one that the client can read", async () => {
  const run = await fresh();
  const refusals = [
    [{ events: [] }, 400],
    [{ events: [{ type: "RUN_FINISHED" }] }, 400],
    [{ events: [{ type: "CUSTOM", name: "n", value: "\u0000" }] }, 400],
    [{ events: [text(0)], expected_previous_event_id: 9 }, 400],
    [{ events: [{ ...text(0), delta: "x".repeat(300_000) }] }, 400],
  ];
  for (const [body, status] of refusals) {
    const response = await fetch(`${api.apiUrl}/conversations/${run.conversationId}/runs/${run.runId}/events`, {
      method: "POST",
      headers: { Authorization: `Bearer ${authToken}`, "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    assert.equal(response.status, status);
    const answer = await response.text();
    assert.equal(parseAppendConversationRunEventsErrorBody(answer), JSON.parse(answer).detail);
  }
});

test("an event with a character that cannot be stored is refused, and the client sends it again", async () => {
  const run = await fresh();
  const controller = queue(run);
  controller.enqueue([{ ...text(0), delta: "a\u0000b" }]);
  const refused = await controller.flush();
  // The client stops at four texts only, and none of them would be true (docs/http.md).
  assert.equal(refused.outcome, "retry_scheduled");
  assert.match(refused.errorMessage, /\(400\).*NUL/);
  assert.deepEqual(await eventsOf(client, run.runId), []);
});

test("the runs client repeats what failed on the way, and a public_id makes it one run", async () => {
  const eager = createRunsClient({
    ...through,
    projectReference: projectId,
    retry: { maxRetries: 3, initialDelay: 5, maxDelay: 20 },
  });
  const task = { projectId, publicId: newId(), name: "once", target: "task:nobody" };
  proxy.fate = first(["lose answer", "hide answer", "cut answer"]);
  const { run, duplicate } = await eager.createTaskRun(task);
  assert.equal(run.run_id, task.publicId);
  assert.equal(duplicate, true);
  assert.equal(proxy.seen.length, 4);
  const named = async () => (await client.list({ limit: 100 })).data.filter(({ target }) => target === task.target);
  assert.equal((await named()).length, 1);

  proxy.fate = first(["lose request", 503, 429]);
  assert.equal((await eager.get(task.publicId)).run_id, task.publicId);
  proxy.fate = first([500, 500, 500, 500]);
  await assert.rejects(eager.events(task.publicId), /after 3 retries/);
  proxy.fate = first(["hide answer"]);
  const cancelled = await eager.cancel(task.publicId);
  assert.deepEqual([cancelled.cancelled, cancelled.run.status], [false, "cancelled"], "the first request did it");
  assert.equal((await eager.list({ limit: 1 })).data.length, 1);

  // Without a public_id nothing says that it is the same request.
  proxy.fate = first(["lose answer"]);
  await eager.createTaskRun({ ...task, publicId: undefined });
  assert.equal((await named()).length, 3);
});

test("the answers to a run's beginning and end are lost", async () => {
  const conversationId = await newConversation();
  const wanted = { conversationId, agentId: "elsewhere", runId: newId() };
  proxy.fate = first(["lose answer"]);
  await assert.rejects(createConversationAgentRun({ ...through, ...wanted }));
  const run = await createConversationAgentRun({ ...through, ...wanted });
  assert.deepEqual([run.runId, run.status, run.latestEventId], [wanted.runId, "running", 0]);

  const message = { id: crypto.randomUUID(), role: "user", parts: [{ type: "text", text: "Hello" }] };
  proxy.fate = first(["lose answer"]);
  await assert.rejects(persistConversationUserMessage({ ...through, conversationId, message }));
  await persistConversationUserMessage({ ...through, conversationId, message });
  const canary = createDurableRunCanaryApiClient({ ...through, agentId: "echo", projectId, requestTimeoutMs: 20_000 });
  const messages = await canary.listMessagesForCanary({ conversationId });
  assert.equal(messages.filter(({ role }) => role === "user").length, 1);

  const ends = [];
  const terminal = createConversationHostedTerminalAdapter({
    ...through,
    run,
    fallbackModelId: "small",
    resolveProvider: () => "somebody",
    onTerminalState: ({ status }) => ends.push(status),
  });
  proxy.fate = first(["lose answer"]);
  const failed = { status: "failed", terminalErrorCode: "STREAM_ERROR", terminalErrorMessage: "Gone." };
  await assert.rejects(terminal.dispatch(failed));
  // Whatever is dispatched later, also another end: the first one, which the writer never heard of, stands.
  await terminal.dispatch({ status: "completed" });
  assert.deepEqual(ends, ["completed"]);
  assert.equal((await client.get(run.runId)).status, "failed");
  assert.equal((await eventsOf(client, run.runId)).filter(({ type }) => type.startsWith("RUN_")).length, 1);
});

test("the canary's two phases, each of which is sent more than once", async () => {
  const conversationId = await newConversation();
  const echo = createDurableRunCanaryApiClient({ ...through, agentId: "echo", projectId, requestTimeoutMs: 20_000 });
  const { id: userMessageId } = await echo.sendUserMessageForCanary({ conversationId, prompt: "Once." });
  const runId = newId();
  proxy.fate = first(["lose request", "lose answer"]);
  for (const _ of [0, 1]) await assert.rejects(echo.createDurableRootRun({ conversationId, runId }));
  await echo.createDurableRootRun({ conversationId, runId });
  const { messageId, status } = await echo.getRunSummary({ conversationId, runId });
  assert.equal(status, "pending");
  proxy.fate = first(["hide answer", "lose answer"]);
  const start = { conversationId, runId, messageId, prompt: "Once.", userMessageId };
  for (const _ of [0, 1]) await assert.rejects(echo.startDurableRun(start));
  await echo.startDurableRun(start);
  const ended = async () => (await echo.getRunSummary({ conversationId, runId })).status === "completed";
  await eventually(ended, "the run ends");
  const told = await eventsOf(client, runId);
  assert.equal(told.filter(({ type }) => type === "TEXT_MESSAGE_CONTENT").map(({ delta }) => delta).join(""), "Once.");
  assert.equal(told.filter(({ type }) => type === "RUN_STARTED").length, 1);
});

for (const how of ["kill", "stop"]) {
  test(`the server restarts (${how}) between a mirror, its reader and a monitor: nothing is lost or doubled`, async () => {
    const run = await fresh();
    const chance = random(11);
    proxy.fate = (request) => (isAppend(request) && chance() < 0.2 ? "lose answer" : "pass");
    const followed = reader(run, proxy.url).follow();
    let end;
    const monitored = monitorConversationRunStatus({
      ...through,
      ...run,
      pollIntervalMs: 50,
      onTerminal: (state) => {
        end = state;
      },
    });
    const mirror = createConversationRunChunkMirror({
      ...through,
      ...run,
      flushDelayMs: 5,
      getRetryDelayMs: () => 50,
      onStopped: ({ disableReason }) => assert.fail(`the mirror has stopped: ${disableReason}`),
    });
    let writing = true;
    const restarted = restartServer(how).finally(() => {
      writing = false;
    });
    await mirror.handleChunk({ type: "text-start", id: "c", messageId: "m" });
    let words = 0;
    while (writing || words < 100) {
      await mirror.handleChunk({ type: "text-delta", id: "c", messageId: "m", delta: `${words} ` });
      words += 1;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await mirror.handleChunk({ type: "text-end", id: "c", messageId: "m" });
    await restarted;
    await eventually(async () => (await mirror.flush()).pendingEventCount === 0, "all is mirrored");
    mirror.dispose();
    await finalizeConversationAgentRun({ ...api, ...run, ...model, status: "completed" });
    const heard = await followed;
    await monitored;
    assert.equal(end.status, "completed");
    assert.equal(said(heard), Array.from({ length: words }, (_, number) => `${number} `).join(""));
    assert.equal(kinds(heard).at(-1), "finish");
    assert.ok(heard.connections > 1);
    const stored = await eventsOf(client, run.runId, 500);
    assert.equal(stored.length, words + 3);
  });
}
