// A runtime that runs are pushed to: served, registered and kept alive by the client's own functions.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createServer } from "node:net";
import { after, test } from "node:test";
import {
  appendConversationRunEvents,
  createAgentServiceRegistrationLifecycle,
  createDetachedRunTracker,
  finalizeConversationAgentRun,
  getConversationRun,
  resolveAgentServiceRegistrationInput,
  startNodeAgentService,
} from "veryfront/agent";
import { createRunsClient } from "veryfront/runs";
import { api, apiUrl, authToken, call, eventsOf, eventually, newConversation, newId, projectId, text } from "./perdure.mjs";

const client = createRunsClient({ ...api, projectReference: projectId, retry: { maxRetries: 0 } });
const stops = [];
after(async () => {
  for (const stop of stops) await stop();
});

const quiet = { info() {}, warn() {}, error() {}, debug() {} };

async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => probe.once("listening", resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** A runtime of the package, registered for a new agent. `execute` is what it does with a run. */
async function runtime(execute) {
  const agentId = `agent-${randomUUID()}`;
  const port = await freePort();
  const tracker = createDetachedRunTracker();
  const started = [];
  const config = { PORT: port, ALLOWED_ORIGINS: [], NODE_ENV: "test", VERYFRONT_API_URL: apiUrl };
  const service = await startNodeAgentService({
    serviceName: "helper",
    bindAddress: "127.0.0.1",
    signals: [],
    tracker,
    getConfig: () => config,
    getAgentConfig: () => ({ id: agentId, instructions: "Help.", model: "none", maxSteps: 1 }),
    logger: quiet,
    prepareExecution: async (request) => request,
    streamExecutionToAgUiResponse: () => new Response(null, { status: 501 }),
    startDetachedExecution: async ({ execution, abortSignal }) => {
      started.push(execution);
      await execute({ request: execution, abortSignal, own: { apiUrl, authToken: execution.authToken } });
    },
  });
  stops.push(async () => {
    tracker.cancelAllRuns();
    await service.nodeServer.stop?.();
  });
  const input = await resolveAgentServiceRegistrationInput({
    serviceName: "helper",
    agentId,
    version: "1",
    runtime: "node",
    config: {
      VERYFRONT_API_URL: apiUrl,
      VERYFRONT_API_TOKEN: authToken,
      VERYFRONT_PROJECT_ID: projectId,
      VERYFRONT_AGENT_SERVICE_URL: `http://127.0.0.1:${port}`,
      VERYFRONT_AGENT_SERVICE_REGISTRATION: "enabled",
      VERYFRONT_AGENT_SERVICE_HEARTBEAT_INTERVAL_MS: 30_000,
    },
  });
  const registered = await createAgentServiceRegistrationLifecycle(input);
  stops.push(() => registered.stop());
  return { agentId, input, registered, started };
}

/** A run with input of an agent. */
async function start(agentId) {
  const conversationId = await newConversation();
  const runId = newId();
  await call("POST", "/runs", {
    kind: "agent",
    owner: { kind: "project", id: projectId },
    public_id: runId,
    conversation_mode: "existing",
    conversation_id: conversationId,
    request: {
      mode: "agent",
      agent_id: agentId,
      initial_status: "pending",
      input: {
        messages: [{ id: "m1", role: "user", parts: [{ type: "text", text: "Hello" }] }],
        context: { project_id: projectId, branch_id: null, conversation_id: conversationId },
      },
    },
  });
  return { conversationId, runId };
}

const statusOf = async (run) => (await getConversationRun({ ...api, ...run })).status;

test("a service that registers again keeps its id, and its heart beats", async () => {
  const { input, registered } = await runtime(async () => {});
  assert.equal(registered.service.scope_kind, "project");
  assert.equal(registered.service.project_id, projectId);
  assert.equal(registered.service.status, "active");
  const again = await createAgentServiceRegistrationLifecycle(input);
  again.stop();
  assert.equal(again.serviceId, registered.serviceId);
  await registered.heartbeat();
});

test("a run is sent to the runtime, which mirrors what it says and ends it", async () => {
  const { agentId, started } = await runtime(async ({ request, own }) => {
    const { conversationId, durableRootRun } = request;
    const run = { conversationId, runId: durableRootRun.runId };
    await appendConversationRunEvents({
      ...own,
      ...run,
      events: [text(1), text(2)],
      expectedPreviousExternalEventSequence: durableRootRun.latestExternalEventSequence,
    });
    await finalizeConversationAgentRun({ ...own, ...run, status: "completed" });
  });
  const run = await start(agentId);
  await eventually(async () => (await statusOf(run)) === "completed", "the run ends");
  assert.equal(started.length, 1);
  const [request] = started;
  assert.equal(request.projectId, projectId);
  assert.deepEqual(request.messages, [{ id: "m1", role: "user", parts: [{ type: "text", text: "Hello" }] }]);
  const said = (await eventsOf(client, run.runId)).filter(({ type }) => type === "TEXT_MESSAGE_CONTENT");
  assert.deepEqual(said, [text(1), text(2)]);
});

test("a cancel reaches the runtime, which ends the run", async () => {
  const { agentId, started } = await runtime(async ({ request, abortSignal, own }) => {
    const aborted = new Promise((resolve) => abortSignal.addEventListener("abort", resolve, { once: true }));
    if (!abortSignal.aborted) await aborted;
    await finalizeConversationAgentRun({
      ...own,
      conversationId: request.conversationId,
      runId: request.durableRootRun.runId,
      status: "cancelled",
    });
  });
  const run = await start(agentId);
  await eventually(() => started.length === 1, "the runtime has the run");
  const { cancelled } = await client.cancel(run.runId);
  assert.equal(cancelled, true);
  await eventually(async () => (await statusOf(run)) === "cancelled", "the run ends");
});
