// What a hosted agent service does with the server beside mirroring: starts, ends, tokens, questions, and what it reads.
import assert from "node:assert/strict";
import { createPublicKey, verify } from "node:crypto";
import { test } from "node:test";
import {
  agUiSseEventTypes,
  appendConversationRunEvents,
  createAgentServiceAuth,
  createConversationAgentRun,
  createConversationHostedLifecycleAdapter,
  createConversationHostedTerminalAdapter,
  createConversationRootRunContext,
  createConversationRootRunStartAdapter,
  createConversationRunEventQueueController,
  createConversationRunStreamMirror,
  createHostedConversationRunChunkMirror,
  createHostedDurableChildForkRunContext,
  createHostedRootRunLifecycleRuntimeAdapter,
  createHostedServiceAuth,
  createInputRequest,
  dispatchConversationHostedStreamErrorState,
  dispatchConversationHostedTerminalState,
  executeHostedDurableChildFork,
  finalizeConversationAgentRun,
  getAgUiSseEventsOfType,
  getConversationRun,
  getInputRequest,
  parseAgUiSseResponse,
  prepareAgentServiceConversationRootRunContext,
  prepareConversationRootRunContext,
  startConversationRootRun,
} from "veryfront/agent";
import {
  getAgUiSnapshotMessageSchema,
  mapAgUiRuntimeMessagesToChatUiMessages,
  parseSseEvent,
} from "veryfront/chat/ag-ui";
import {
  cancelLiveEvalInputRequest,
  createLiveEvalApiClient,
  createLiveEvalConversation,
  deleteLiveEvalConversation,
  listOpenLiveEvalInputRequests,
  parseDurableRunCanaryRunSummary,
  submitLiveEvalInputResponse,
  waitForOpenLiveEvalInputRequest,
} from "veryfront/eval/agent-service";
import { createRunsClient } from "veryfront/runs";
import { api, apiUrl, authToken, call, eventsOf, newConversation, newId, projectId, text } from "./perdure.mjs";

const client = createRunsClient({ ...api, projectReference: projectId, retry: { maxRetries: 0 } });
const agentId = "elsewhere";
const model = { provider: "somebody", model: "small" };
const requestTimeoutMs = 20_000;
const abortSignal = new AbortController().signal;

async function fresh(more = {}) {
  return await createConversationAgentRun({ ...api, conversationId: await newConversation(), agentId, ...more });
}

test("a root run is started here, or taken over from who started it", async () => {
  const conversationId = await newConversation();
  const wanted = { ...api, conversationId, projectId, agentId };
  const made = await startConversationRootRun(wanted);
  assert.equal(made.status, "running");
  assert.equal(await startConversationRootRun({ ...api, agentId }), null, "without a conversation there is none");

  const providedRun = { runId: made.runId, messageId: made.messageId, latestExternalEventSequence: 0 };
  const given = { ...wanted, providedRun };
  assert.equal((await createConversationRootRunStartAdapter(given)({ abortSignal })).run.runId, made.runId);
  const taken = await prepareConversationRootRunContext({ ...given, parentRunId: "parent" });
  assert.equal(taken.effectiveParentRunId, made.runId);
  assert.equal(createConversationRootRunContext({ run: made }).effectiveParentMessageId, made.messageId);

  const options = { ...given, messages: [], persistLatestUserMessageBeforeRun: false };
  const context = await prepareAgentServiceConversationRootRunContext(options, { abortSignal });
  await context.durableRunMirror.appendEvents([text(0)]);
  await context.durableRunMirror.flush();
  context.durableRunMirror.dispose();
  assert.deepEqual(await eventsOf(client, made.runId), [text(0)]);
});

test("the two mirrors that a service may choose write the same log", async () => {
  const chunks = [
    { type: "text-start", id: "c", messageId: "m" },
    { type: "text-delta", id: "c", messageId: "m", delta: "Hello" },
    { type: "text-end", id: "c", messageId: "m" },
  ];
  const [one, other] = [await fresh(), await fresh()];
  const hosted = createHostedConversationRunChunkMirror({ ...api, ...one, batchSize: 2 });
  for (const chunk of chunks) await hosted.handleChunk(chunk);
  assert.equal((await hosted.flush()).pendingEventCount, 0);
  hosted.dispose();
  const streamed = createConversationRunStreamMirror({
    queueController: createConversationRunEventQueueController({ ...api, ...other, maxEventsPerBatch: 2 }),
    immediateFlushEventCount: 2,
  });
  for (const chunk of chunks) streamed.handleStreamEvent(chunk);
  assert.equal((await streamed.flush()).pendingEventCount, 0);
  streamed.dispose();
  const logs = [await eventsOf(client, one.runId), await eventsOf(client, other.runId)];
  assert.deepEqual(logs[0], logs[1]);
  assert.deepEqual(logs[0].map(({ type }) => type), ["START", "CONTENT", "END"].map((word) => `TEXT_MESSAGE_${word}`));
});

test("a lifecycle of one's own events, with both cursors, and its cancellation", async () => {
  const adapter = createConversationHostedLifecycleAdapter({
    ...api,
    startRun: () => fresh(),
    mapChunkToEvents: (number) => [text(number)],
    resolveFinalizeInput: () => ({ ...model, terminalErrorCode: "ABORTED", terminalErrorMessage: "Enough." }),
  });
  const run = await adapter.startRun({ abortSignal });
  await Promise.all([0, 1, 2].map((number) => adapter.appendEvents(run, number)));
  assert.equal(run.latestEventId, 3);
  await adapter.cancelRun(run, { status: "cancelled" });
  const { status, error } = await client.get(run.runId);
  assert.deepEqual([status, error], ["cancelled", { message: "Enough.", code: "ABORTED" }]);
  assert.deepEqual((await eventsOf(client, run.runId)).slice(0, 3), [0, 1, 2].map(text));
});

test("every end that a service may come to is the run's end", async () => {
  const ends = [
    [(adapter) => adapter.dispatch({ status: "completed" }), "completed", null],
    [(adapter) => adapter.dispatch({ status: "cancelled", terminalErrorCode: "ABORTED" }), "cancelled", "ABORTED"],
    [(terminal) => dispatchConversationHostedTerminalState({ terminal }, { status: "failed" }), "failed", "FAILED"],
    [
      (terminal) => dispatchConversationHostedStreamErrorState({ terminal }, new Error("It broke.")),
      "failed",
      "STREAM_ERROR",
    ],
  ];
  for (const [end, status, code] of ends) {
    const run = await fresh();
    const options = { ...api, run, fallbackModelId: "small", resolveProvider: () => "somebody" };
    const terminal = createConversationHostedTerminalAdapter(options);
    await end(terminal);
    const ended = await client.get(run.runId);
    assert.equal(ended.status, status);
    assert.equal(code === null ? ended.error : ended.error.code, code);
    assert.equal((await getConversationRun({ ...api, ...run })).status, status);
  }
  const run = await fresh();
  const { terminal } = createHostedRootRunLifecycleRuntimeAdapter({
    ...api,
    durableRootRun: run,
    durableRunMirror: null,
    agentRunSpan: { finalize: () => {} },
    modelId: "small",
    resolveProvider: () => "somebody",
  });
  await terminal.dispatch({ status: "completed", metadata: { usage: { inputTokens: 3, outputTokens: 4 } } });
  const [{ metadata }] = (await eventsOf(client, run.runId)).slice(-1);
  assert.deepEqual([metadata.model, metadata.inputTokens, metadata.outputTokens], ["small", 3, 4]);
});

test("a child that a service runs beside its parent: its words, its end, and what the parent hears of it", async () => {
  const parent = await fresh({ projectId });
  for (const [toolCallId, success] of [["call-1", true], ["call-2", false]]) {
    const executeLocal = async ({ durableChildRun }) => {
      const context = createHostedDurableChildForkRunContext({ ...api, durableChildRun, pendingToolLogContext: {} });
      const { appendDurableMirrorChunk: append } = context.streamMirrorContext;
      const { childMessageId: messageId } = durableChildRun;
      await append({ type: "text-start", id: "c", messageId });
      await append({ type: "text-delta", id: "c", messageId, delta: "Done." });
      await append({ type: "text-end", id: "c", messageId });
      assert.equal((await context.durableRunMirror.flush()).pendingEventCount, 0);
      context.durableRunMirror.dispose();
      if (!success) throw new Error("It broke.");
      return { success, summary: { text: "Done." }, steps: 1, toolCalls: [], toolResults: [], durationMs: 1 };
    };
    const made = await executeHostedDurableChildFork({
      ...api,
      forkInput: { description: "A part", prompt: "Do it." },
      executionOptions: { toolCallId },
      childAgentId: agentId,
      runProjectId: projectId,
      parentConversationId: parent.conversationId,
      parentRunId: parent.runId,
      parentMessageId: parent.messageId,
      getProjectId: () => projectId,
      defaultModel: "small",
      resolveModelId: (id) => id,
      resolveProvider: () => "somebody",
      executionFailedCode: "RUNTIME_ERROR",
      setupFailedCode: "SETUP",
      executeLocal,
      getExecutionSnapshot: () => null,
      buildSetupFailureResult: ({ terminalErrorMessage }) => assert.fail(terminalErrorMessage),
      buildTerminalFailureResult: (failure) => failure,
      buildSuccessResult: (result) => result,
    });
    const { childRunId: runId, childConversationId: conversationId } = made.identifiers;
    const child = await client.get(runId);
    assert.deepEqual([child.status, child.parent_run_id], [success ? "completed" : "failed", parent.runId]);
    const words = (await eventsOf(client, runId)).filter(({ type }) => type === "TEXT_MESSAGE_CONTENT");
    assert.deepEqual(words.map(({ delta }) => delta), ["Done."]);
    const heard = (await eventsOf(client, parent.runId)).filter(({ value }) => value?.childRunId === runId);
    assert.deepEqual(heard.map(({ value }) => value.status), ["pending", "running", success ? "completed" : "failed"]);
    assert.equal((await getConversationRun({ ...api, conversationId, runId })).status, child.status);
  }
});

/** What the package's own extension for JWTs, which is not installed here, would do. */
const authProvider = {
  verifyWithPublicKey: async (token, pem, { algorithms }) => {
    const [head, payload, signature] = token.split(".");
    const { alg } = JSON.parse(Buffer.from(head, "base64url"));
    assert.ok(algorithms.includes(alg));
    const bytes = Buffer.from(signature, "base64url");
    assert.ok(verify("RSA-SHA256", Buffer.from(`${head}.${payload}`), pem, bytes), "the signature is wrong");
    return JSON.parse(Buffer.from(payload, "base64url"));
  },
};

test("a service asks the server who may see a project, and knows the server's own tokens", async () => {
  const { keys } = await call("GET", "/.well-known/jwks.json");
  const pem = createPublicKey({ key: keys[0], format: "jwk" }).export({ type: "spki", format: "pem" });
  const getConfig = () => ({ VERYFRONT_API_URL: apiUrl, OAUTH_PUBLIC_KEY: pem, NODE_ENV: "production" });
  for (const create of [createHostedServiceAuth, createAgentServiceAuth]) {
    const auth = create({ getConfig, authProvider });
    assert.deepEqual(await auth.verifyProjectAccess(projectId, authToken), { success: true, projectId });
    const unknown = await auth.verifyProjectAccess("00000000-0000-4000-8000-00000000dead", authToken);
    assert.equal(unknown.error.errorCode, "NOT_FOUND");
    const stranger = await auth.verifyProjectAccess(projectId, `${authToken}x`);
    assert.equal(stranger.error.errorCode, "FORBIDDEN");

    const parent = await fresh({ projectId });
    const child = await fresh({ projectId, parentRunId: parent.runId });
    const path = `/runs/${parent.runId}/children/${child.runId}/event-writer-token`;
    const { run_event_token: token } = await call("POST", path);
    const verified = await auth.verifyJwt(token);
    assert.equal(verified.success, true, JSON.stringify(verified.error));
    assert.equal((await auth.verifyJwt(`${token.slice(0, -8)}AAAAAAAA`)).success, false);
    await appendConversationRunEvents({ apiUrl, authToken: token, ...child, events: [text(0)] });
    const other = appendConversationRunEvents({ apiUrl, authToken: token, ...parent, events: [text(0)] });
    await assert.rejects(other, { name: "AppendConversationRunEventsError", status: 403 });
  }
});

const form = {
  title: "Which one?",
  description: "There are two.",
  submitLabel: "This one",
  fields: [
    { name: "choice", label: "Choice", type: "text", required: true },
    { name: "why", label: "Why", type: "textarea", required: false },
  ],
};

async function asked(conversationId, seconds = 60) {
  const run = await createConversationAgentRun({ ...api, conversationId, agentId });
  return await createInputRequest({
    ...api,
    ...run,
    toolCallId: newId(),
    form,
    expiresAt: new Date(Date.now() + seconds * 1000).toISOString(),
  });
}

test("a question is put, found, answered or withdrawn, by the functions of the evaluation", async () => {
  const context = { ...api, projectId };
  const conversationId = await createLiveEvalConversation(context, { title: "Questions", requestTimeoutMs });
  const input = { conversationId, requestTimeoutMs };
  assert.deepEqual(await listOpenLiveEvalInputRequests(context, input), []);
  const first = await asked(conversationId);
  assert.equal(first.status, "open");
  assert.deepEqual(first.fields.map(({ name }) => name), ["choice", "why"]);
  const found = await waitForOpenLiveEvalInputRequest(context, { ...input, abortSignal, pollIntervalMs: 10 });
  assert.equal(found, first.id);
  const answer = { ...input, inputRequestId: first.id };
  await assert.rejects(submitLiveEvalInputResponse(context, { ...answer, values: { choice: 7 } }), /400/);
  await submitLiveEvalInputResponse(context, { ...answer, values: { choice: "the left one", why: null } });
  const submitted = await getInputRequest({ ...api, conversationId, inputRequestId: first.id });
  assert.equal(submitted.status, "submitted");
  assert.equal(submitted.latestResponse.values.choice, "the left one");

  const second = await asked(conversationId);
  await cancelLiveEvalInputRequest(context, { ...input, inputRequestId: second.id });
  assert.equal((await getInputRequest({ ...api, conversationId, inputRequestId: second.id })).status, "cancelled");

  const third = await asked(conversationId);
  const all = createLiveEvalApiClient(context);
  assert.deepEqual((await all.listOpenInputRequests(input)).map(({ id }) => id), [third.id]);
  await all.submitInputResponse({ ...input, inputRequestId: third.id, values: { choice: "c" } });
  assert.deepEqual(await all.listOpenInputRequests(input), []);
  const empty = await all.createConversation({ title: "t", requestTimeoutMs });
  await all.deleteConversation({ conversationId: empty, requestTimeoutMs });
});

test("a conversation goes with its runs, and may be gone already", async () => {
  const context = { ...api, projectId };
  const conversationId = await createLiveEvalConversation(context, { title: "Gone", requestTimeoutMs });
  const run = await createConversationAgentRun({ ...api, conversationId, agentId });
  await finalizeConversationAgentRun({ ...api, ...run, ...model, status: "completed" });
  await deleteLiveEvalConversation(context, { conversationId, requestTimeoutMs });
  await deleteLiveEvalConversation(context, { conversationId, requestTimeoutMs });
  await assert.rejects(client.get(run.runId), { status: 404 });
});

/** A run with everything that a conversation shows, and its end. */
async function told() {
  const run = await fresh();
  const messageId = run.messageId;
  await appendConversationRunEvents({
    ...api,
    ...run,
    events: [
      { type: "RUN_STARTED", runId: run.runId, threadId: run.conversationId },
      { type: "TEXT_MESSAGE_START", messageId, contentId: "c", role: "assistant" },
      { type: "TEXT_MESSAGE_CONTENT", messageId, contentId: "c", delta: "I look." },
      { type: "TEXT_MESSAGE_END", messageId, contentId: "c" },
      { type: "TOOL_CALL_START", toolCallId: "t", toolCallName: "look", parentMessageId: messageId },
      { type: "TOOL_CALL_ARGS", toolCallId: "t", delta: '{"at":"it"}' },
      { type: "TOOL_CALL_END", toolCallId: "t" },
      { type: "TOOL_CALL_RESULT", messageId: "m:tool:t", toolCallId: "t", content: '{"seen":true}', role: "tool" },
    ],
  });
  await finalizeConversationAgentRun({ ...api, ...run, ...model, status: "completed" });
  return run;
}

const streamed = (run) =>
  fetch(`${apiUrl}/conversations/${run.conversationId}/runs/${run.runId}/stream`, {
    headers: { Authorization: `Bearer ${authToken}` },
  });

test("a stream as the evaluation reads it", async () => {
  const run = await told();
  const progress = [];
  const parsed = await parseAgUiSseResponse(await streamed(run), { onProgress: (state) => progress.push(state) });
  assert.equal(parsed.responseStatus, 200);
  assert.equal(parsed.text, "I look.");
  assert.deepEqual(parsed.toolStarts, ["look"]);
  assert.deepEqual(parsed.toolArgs, ['{"at":"it"}']);
  assert.equal(parsed.runError, null);
  assert.equal(getAgUiSseEventsOfType(parsed.events, agUiSseEventTypes.runFinished).length, 1);
  assert.equal(progress.at(-1).eventCount, parsed.events.length);

  const nobodys = await parseAgUiSseResponse(await streamed({ ...run, runId: newId() }));
  assert.equal(nobodys.responseStatus, 404);
  assert.match(nobodys.runError, /run_not_found/);

  const frames = (await (await streamed(run)).text()).split("\n\n").filter((frame) => frame.includes("data:"));
  const ids = frames.map((frame) => parseSseEvent(frame)).map(({ id, event, data }) => {
    assert.match(event, /^([A-Z][a-z]+)+$/);
    assert.equal(typeof JSON.parse(data).type, "string");
    return id;
  });
  assert.deepEqual(ids, Array.from({ length: 9 }, (_, index) => index + 1));
});

test("a snapshot's messages are ones that the client can show", async () => {
  const run = await told();
  const snapshot = await call("GET", `/conversations/${run.conversationId}/runs/${run.runId}/snapshot`);
  const [messages, state, end] = snapshot.events.map(({ event }) => event);
  assert.deepEqual([messages.type, state.type, end.type], ["MESSAGES_SNAPSHOT", "STATE_SNAPSHOT", "RUN_FINISHED"]);
  assert.deepEqual(snapshot.events.map(({ event_id }) => event_id), [null, null, 9]);
  const parsed = messages.messages.map((message) => getAgUiSnapshotMessageSchema().parse(message));
  const shown = mapAgUiRuntimeMessagesToChatUiMessages(parsed);
  const parts = shown.flatMap((message) => message.parts);
  assert.ok(parts.some((part) => part.type === "text" && part.text === "I look."));
  assert.ok(parts.some((part) => part.toolCallId === "t" && part.state === "output-available"));
});

test("a projection is what the evaluation takes for a run's summary, in every state", async () => {
  const pending = await fresh({ implementationKind: "elsewhere" });
  const running = await fresh();
  const completed = await told();
  for (const [run, status] of [[pending, "pending"], [running, "running"], [completed, "completed"]]) {
    const body = await call("GET", `/conversations/${run.conversationId}/runs/${run.runId}`);
    const summary = parseDurableRunCanaryRunSummary(body);
    assert.deepEqual([summary.runId, summary.status, summary.messageId], [run.runId, status, run.messageId]);
  }
});
