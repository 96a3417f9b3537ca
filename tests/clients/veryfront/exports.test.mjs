// What of the package is driven by these tests, and what is not and why. A new version that can do more fails here first.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as agent from "veryfront/agent";
import * as agUi from "veryfront/chat/ag-ui";
import * as evaluation from "veryfront/eval/agent-service";
import * as runs from "veryfront/runs";
import { networkIn } from "./exports.mjs";
import { api, authToken, apiUrl, call, newConversation, newId, projectId, text, waitingRun } from "./perdure.mjs";

const MODULES = { agent, runs, "eval/agent-service": evaluation, "chat/ag-ui": agUi };

/** The functions that reach the server or decode what it sends, by the file that drives them. */
const DRIVEN = {
  "agent.test.mjs": [
    "appendConversationRunEvents",
    "createConversationAgentRun",
    "createConversationChildLifecycleAdapter",
    "createConversationHostedStreamLifecycleAdapter",
    "finalizeConversationAgentRun",
    "getConversationRun",
    "isCursorMismatchConversationRunAppendError",
    "isIgnorableConversationRunAppendError",
    "monitorConversationRunStatus",
    "prepareHostedConversationRootRunContext",
    "publishInvokeAgentChildRunProgress",
    "recoverConversationRunAppendFailure",
  ],
  "conversations.test.mjs": [
    "bootstrapConversationAgentRun",
    "bootstrapHostedChildRun",
    "createConversationMessage",
    "createConversationRecord",
    "createDurableRunCanaryApiClient",
    "createDurableRunCanaryRunner",
    "ensureConversationProjectLink",
    "fetchConversationRecord",
    "fetchLatestConversationUserText",
    "persistConversationUserMessage",
    "persistLatestConversationUserMessage",
  ],
  "hosted.test.mjs": [
    "cancelLiveEvalInputRequest",
    "createAgentServiceAuth",
    "createConversationHostedLifecycleAdapter",
    "createConversationHostedTerminalAdapter",
    "createConversationRootRunStartAdapter",
    "createConversationRunStreamMirror",
    "createHostedConversationRunChunkMirror",
    "createHostedDurableChildForkRunContext",
    "createHostedRootRunLifecycleRuntimeAdapter",
    "createHostedServiceAuth",
    "createInputRequest",
    "createLiveEvalApiClient",
    "createLiveEvalConversation",
    "deleteLiveEvalConversation",
    "executeHostedDurableChildFork",
    "getInputRequest",
    "listOpenLiveEvalInputRequests",
    "mapAgUiRuntimeMessagesToChatUiMessages",
    "parseAgUiSseResponse",
    "parseDurableRunCanaryRunSummary",
    "parseSseEvent",
    "prepareAgentServiceConversationRootRunContext",
    "prepareConversationRootRunContext",
    "startConversationRootRun",
    "submitLiveEvalInputResponse",
    "waitForOpenLiveEvalInputRequest",
  ],
  "queue.test.mjs": ["createConversationRunEventQueueController", "resyncConversationRunAppendCursor"],
  "reader.mjs": ["createAgUiChatEventDecoderState", "decodeAgUiSseChunk", "flushAgUiSseChunk"],
  "recovery.test.mjs": [
    "createConversationRunChunkMirror",
    "flushConversationRunEventBatches",
    "flushConversationRunEventQueue",
    "parseAppendConversationRunEventsErrorBody",
    "recoverConversationRunAppendExecution",
    "recoverConversationRunCursorMismatch",
  ],
  "runs.test.mjs": ["createRunsClient"],
  "workers.test.mjs": ["createExternalAgentWorkerClient"],
  // Parts of a service that runs agents.
  "children.test.mjs": ["monitorHostedChildRunStatus"],
  "forms.test.mjs": ["createAgentServiceFormInputTool", "createHostedFormInputTool"],
  "push.test.mjs": ["createAgentServiceRegistrationLifecycle"],
};

/** The functions that may reach something, but not this server, or only through functions of the table above. */
const NOT_DRIVEN = {
  "asks a language model": [
    "AgentRuntime",
    "agent",
    "createAgUiDetachedStartHandler",
    "createAgUiHandler",
    "createAgUiRuntimeHandler",
    "createRuntimeAgentFromMarkdownDefinition",
    "executeAgUiDetachedStart",
    "runAgentRuntimeForkStep",
    "runFrameworkForkStep",
    "startAgentRuntimeFork",
    "startAgentRuntimeForkWithHostTools",
  ],
  "runs a language model's agent, and reaches this server through the lifecycle, mirrors and monitor above": [
    "createBootstrappedHostedChatExecutionRuntime",
    "createDefaultAgentServiceInvokeAgentTool",
    "createDefaultHostedInvokeAgentTool",
    "executeDefaultAgentServiceInvokeAgentTool",
    "executeDefaultHostedInvokeAgentTool",
    "executeHostedChildForkToolInput",
    "executeHostedChildForkWithPreparedTools",
    "executeHostedDurableChatRun",
    "prepareAgentServiceChatExecution",
    "prepareHostedChatExecution",
    "prepareVeryfrontCloudAgentServiceChatExecution",
    "prepareVeryfrontCloudHostedChatExecution",
    "runPreparedAgentServiceChatExecutionDetached",
    "runPreparedHostedChatExecutionDetached",
    "startHostedChildForkRuntimeWithHostTools",
    "streamPreparedAgentServiceChatExecutionToAgUiResponse",
    "streamPreparedHostedChatExecutionToAgUiResponse",
  ],
  "is a server, which others call": [
    "createAgentServiceRouteSet",
    "createAgentServiceRuntime",
    "createAgentServiceServerRuntime",
    "createHostedAgentServiceRouteSet",
    "createHostedAgentServiceRuntime",
    "createNodeVeryfrontCloudAgentServiceRuntime",
    "defineAgentService",
    "startAgentService",
    "startAgentServiceRuntime",
    "startAgentServiceServer",
    "startNodeAgentService",
    "startNodeAgentServiceServer",
    "startNodeHostedAgentService",
    "startNodeVeryfrontCloudAgentService",
  ],
  "reads or writes a project's source files, uploads or releases, which this server does not keep": [
    "createAgentServiceProjectSteering",
    "createHostedAgentProjectSteering",
    "createHostedProjectSteeringAdapter",
    "createLiveEvalProjectUploadFixture",
    "createLiveEvalRelease",
    "createRuntimeProjectFilesClient",
    "deleteLiveEvalProjectFile",
    "discoverProjectAgentRuntime",
    "getLiveEvalProjectFile",
    "getRuntimeProjectFile",
    "getRuntimeProjectFiles",
    "getRuntimeUploadUrl",
    "prepareAgentRuntimeMessagesFromUiMessages",
    "prepareAgentServiceChatRuntimeMessages",
    "prepareHostedChatRuntimeMessages",
  ],
  "calls tools of MCP servers and sandboxes": [
    "createDefaultAgentServiceChatRuntime",
    "createDefaultHostedChatRuntime",
    "createHostedProjectRemoteToolSources",
    "createLiveStudioMcpTools",
    "prepareDefaultHostedChildForkSandboxToolSources",
    "prepareDefaultHostedChildForkToolSources",
    "prepareHostedChatRuntimeToolAssembly",
  ],
  "evaluates an agent service at an address of its own": ["createAgentServiceEvalAdapter", "createLiveEvalCaseSupport"],
  "is a command line around functions above": ["runDurableRunCanaryCli", "runLiveEvalCli"],
  "is the class that createRunsClient makes": ["VeryfrontRunsClient"],
  "decodes the stream of the AI SDK, which this server does not speak": ["parseDataStreamSseEvents", "streamDataStreamEvents"],
};

/** Decoders reach nothing, so they are known by their names; all of `chat/ag-ui` is one. */
const DECODES = /^(parse|decode|flush|stream)\w*(Sse|DataStream|ErrorBody|RunSummary)/;

test("every function that reaches a server or decodes its answers is driven, or it is said why not", () => {
  const driven = Object.values(DRIVEN).flat();
  const table = [...driven, ...Object.values(NOT_DRIVEN).flat()];
  assert.equal(new Set(table).size, table.length, "each stands once");
  const found = [];
  for (const [name, exported] of Object.entries(MODULES)) {
    const reaches = networkIn(import.meta.resolve(`veryfront/${name}`));
    const functions = Object.keys(exported).filter((one) => typeof exported[one] === "function");
    const schema = /^get\w+Schema$/;
    found.push(
      ...functions.filter((one) => reaches(one) || DECODES.test(one) || (exported === agUi && !schema.test(one))),
    );
  }
  assert.ok(found.length > 120, "the way to find them works");
  const news = found.filter((name) => !table.includes(name));
  assert.deepEqual(news, [], "the package has functions that no test knows");
  const gone = table.filter((name) => !Object.values(MODULES).some((exported) => name in exported));
  assert.deepEqual(gone, [], "the package no longer has these");
});

test("the table names the files that drive the functions", () => {
  for (const [file, names] of Object.entries(DRIVEN)) {
    const path = new URL(file, import.meta.url);
    const script = readFileSync(path, "utf8");
    const missing = names.filter((name) => !new RegExp(`\\b${name}\\b`).test(script));
    assert.deepEqual(missing, [], `${file} does not mention these`);
  }
});

// --- the package's own schemas of answers --------------------------------------------------------------------------

const named = (made) => ({
  made,
  path: `/conversations/${made.conversation_id}/runs/${made.run.run_id}`,
  runId: made.run.run_id,
});

/** A run in a state. */
async function runIn(status) {
  if (status === "waiting") return named(await waitingRun());
  const body = {
    kind: "agent",
    owner: { kind: "conversation", id: await newConversation() },
    public_id: newId(),
    request: { mode: "agent", agent_id: "elsewhere", initial_status: status === "pending" ? "pending" : "running" },
  };
  const made = await call("POST", "/runs", body);
  const { path, runId } = named(made);
  if (status !== "pending") {
    const appended = await call("POST", `${path}/events`, { events: [text(0)] });
    agent.AppendConversationRunEventsResponseSchema.parse(appended);
  }
  if (["completed", "failed"].includes(status)) {
    const ended = await call("POST", `/runs/${runId}/complete`, {
      status,
      metadata: null,
      terminal_error_code: null,
      terminal_error_message: null,
    });
    agent.CompleteConversationRunResponseSchema.parse(ended);
  }
  if (status === "cancelled") {
    for (const cancelled of [true, false]) {
      const answer = await call("POST", `/runs/${runId}/cancel`);
      assert.equal(runs.CancelRunResponseSchema.parse(answer).cancelled, cancelled);
    }
  }
  return { body, ...named(made) };
}

for (const status of ["pending", "running", "waiting", "completed", "failed", "cancelled"]) {
  test(`the answers about a run that is ${status} are what the package's schemas say`, async () => {
    const { body, made, path, runId } = await runIn(status);
    runs.CreateRunResponseSchema.parse(made);
    assert.equal(runs.RunSchema.parse(await call("GET", `/runs/${runId}`)).status, status);
    const word = status === "waiting" ? "waiting_for_tool" : status;
    const projection = await call("GET", path);
    assert.equal(agent.ConversationRunProjectionSchema.parse(projection).status, word);
    assert.equal(agent.ConversationRunStatusSchema.parse(projection.status), word);
    if (body !== undefined) {
      const again = runs.CreateRunResponseSchema.parse(await call("POST", "/runs", body));
      assert.deepEqual([again.duplicate, again.run.status], [true, status]);
    }
    const events = runs.RunEventListSchema.parse(await call("GET", `/runs/${runId}/events`));
    for (const event of events.data) {
      runs.RunEventSchema.parse(event);
      agent.ConversationRunEventSchema.parse(event.payload);
    }
    assert.ok(runs.RunListSchema.parse(await call("GET", `/projects/${projectId}/runs?limit=100`)).data.length > 0);
    const conversation = path.split("/runs/")[0];
    agent.ConversationRecordSchema.parse(await call("GET", conversation));
    for (const message of (await call("GET", `${conversation}/messages?limit=100`)).data) {
      agent.ConversationMessageRecordSchema.parse(message);
      evaluation.getDurableRunCanaryMessageSchema().parse(message);
    }
    if (status === "waiting") await call("POST", `/runs/${runId}/cancel`);
  });
}

test("a stream's frames are what the package's schemas say", async () => {
  const { path } = await runIn("completed");
  const stream = await fetch(`${apiUrl}${path}/stream`, { headers: { Authorization: `Bearer ${authToken}` } });
  const frames = (await stream.text()).split("\n\n").map(agUi.parseSseEvent).filter(({ data }) => data !== "");
  assert.equal(frames.length, 2);
  for (const { event, data } of frames) {
    agUi.getAgUiWireEventNameSchema().parse(event);
    agUi.getAgUiWireEventSchema().parse({ eventName: event, payload: JSON.parse(data) });
  }
});

test("a question's record is what the package's schemas say, open and submitted, and so is the log's word of it", async () => {
  const { made, runId } = await runIn("running");
  const questions = `/conversations/${made.conversation_id}/input-requests`;
  const asked = await call("POST", questions, {
    run_id: runId,
    tool_call_id: "call",
    kind: "form",
    requested_responder_type: "human",
    title: "Which one?",
    fields: [{ name: "choice", label: "Choice", type: "text", required: true }],
    expires_at: new Date(Date.now() + 60_000).toISOString(),
  });
  assert.equal(agent.getCreateInputRequestResponseSchema().parse(asked).status, "open");
  await call("POST", `${questions}/${asked.id}/responses`, { values: { choice: "one" } });
  const record = await call("GET", `${questions}/${asked.id}`);
  assert.equal(agent.getGetInputRequestResponseSchema().parse(record).status, "submitted");
  agent.getInputResponseRestSchema().parse(record.latest_response);
  const log = (await call("GET", `/runs/${runId}/events`)).data.map(({ payload }) => payload);
  const words = log.filter(({ name }) => name === "veryfront.input_request.lifecycle");
  assert.equal(words.length, 2);
  for (const payload of words) {
    agent.getInputRequestLifecycleDataEventSchema().parse({
      type: payload.name,
      data: payload.value,
      name: payload.name,
      value: payload.value,
    });
  }
});

test("a worker, its run and its session are what the package's schemas say", async () => {
  const kind = newId();
  const registered = await call("POST", `/agent-workers/projects/${projectId}/workers`, {
    implementation_kind: kind,
    implementation_display_name: "Kind",
    worker_key: "one",
  });
  agent.ExternalAgentWorkerSchema.parse(registered.worker);
  const worker = async (method, path, body) => {
    const response = await fetch(`${apiUrl}/agent-workers/workers/${registered.worker.id}${path}`, {
      method,
      headers: { Authorization: `Bearer ${registered.token}`, "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    assert.equal(response.status, 200);
    return await response.json();
  };
  await agent.createConversationAgentRun({
    ...api,
    conversationId: await newConversation(),
    projectId,
    agentId: "theirs",
    implementationKind: kind,
  });
  const { run } = await worker("POST", "/claim", { lease_duration_seconds: 30 });
  agent.ExternalAgentWorkerRunSchema.parse(run);
  if (run.request_snapshot !== null) agent.ExternalAgentWorkerRequestSnapshotSchema.parse(run.request_snapshot);
  const { session } = await worker("PUT", `/runs/${run.run_id}/session`, { session_key: "s", status: "active" });
  agent.ExternalAgentWorkerSessionSchema.parse(session);
});
