// A run that starts another one in a conversation of its own: `bootstrapHostedChildRun`, its progress and its monitor.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import {
  bootstrapHostedChildRun,
  buildHostedChildConversationBody,
  createConversationAgentRun,
  createConversationRecord,
  finalizeConversationAgentRun,
  getConversationRun,
  HostedChildTerminalStateError,
  monitorHostedChildRunStatus,
  publishInvokeAgentChildRunProgress,
} from "veryfront/agent";
import { createRunsClient } from "veryfront/runs";
import { api, call, eventsOf, newConversation, newId, projectId } from "./perdure.mjs";

const client = createRunsClient({ ...api, projectReference: projectId, retry: { maxRetries: 0 } });
const agentId = "child";
const description = "Look it up";

/** A run, and a child of it that was bootstrapped as the package does it. */
async function family() {
  const parent = await createConversationAgentRun({
    ...api, conversationId: await newConversation(), agentId: "parent", runId: newId(), projectId,
  });
  const spawned = {
    parentConversationId: parent.conversationId,
    parentRunId: parent.runId,
    parentMessageId: parent.messageId,
    spawnedFromToolCallId: `call~1/${randomUUID()}`,
    description,
  };
  const child = await bootstrapHostedChildRun({
    ...api, ...spawned, ensureProjectId: projectId, runProjectId: projectId, runId: newId(), agentId, prompt: "Find tea.",
  });
  const tell = async (status) =>
    await publishInvokeAgentChildRunProgress({
      ...api,
      conversationId: parent.conversationId,
      runId: parent.runId,
      toolCallId: spawned.spawnedFromToolCallId,
      childConversationId: child.childConversationId,
      childRunId: child.childRunId,
      childMessageId: child.childMessageId,
      childAgentId: agentId,
      description,
      status,
    });
  return { parent, spawned, child, tell };
}

const children = async ({ conversationId }) =>
  (await call("GET", `/conversations/${conversationId}/agent-runs/children-by-parent-conversation`)).data;

/** What the monitor says when the child has ended. */
async function monitored(child) {
  let seen = null;
  await monitorHostedChildRunStatus({
    ...api, identifiers: child, pollIntervalMs: 20, abortSignal: AbortSignal.timeout(30_000),
    onTerminal: (error) => (seen = error),
  });
  assert.ok(seen instanceof HostedChildTerminalStateError, "the monitor sees the end");
  return seen.status;
}

test("a child is started, tells its parent how far it is, and ends", async () => {
  const { parent, spawned, child, tell } = await family();
  assert.equal(child.status, "running");
  const run = await client.get(child.childRunId);
  assert.equal(run.parent_run_id, parent.runId);
  assert.equal(run.root_run_id, parent.runId);
  const conversation = await call("GET", `/conversations/${child.childConversationId}`);
  assert.equal(conversation.type, "project_agent");
  assert.equal(conversation.metadata.projectAgentChildRun.parentRunId, parent.runId);
  const [handoff] = (await call("GET", `/conversations/${child.childConversationId}/messages`)).data;
  assert.deepEqual(handoff.parts, [{ type: "text", text: "Find tea." }]);

  await tell("pending");
  await tell("running");
  const ending = monitored(child);
  await finalizeConversationAgentRun({
    ...api, runId: child.childRunId, status: "completed", provider: "p", model: "m",
  });
  assert.equal(await ending, "completed");
  await tell("completed");

  const events = await eventsOf(client, parent.runId);
  assert.deepEqual(events.map(({ type }) => type), Array(3).fill(["STATE_DELTA", "CUSTOM"]).flat());
  const snapshot = await call("GET", `/conversations/${parent.conversationId}/runs/${parent.runId}/snapshot`);
  const state = snapshot.events.find(({ event }) => event.type === "STATE_SNAPSHOT").event.snapshot;
  const shown = state.invokeAgentChildRuns[spawned.spawnedFromToolCallId];
  assert.equal(shown.childRunId, child.childRunId);
  assert.equal(shown.status, "completed");
  const [listed] = await children(parent);
  assert.equal(listed.run_id, child.childRunId);
  assert.equal(listed.parent_run_id, parent.runId);
  assert.equal((await getConversationRun({ ...api, ...parent })).status, "running", "the parent goes on");
});

test("the cancel of a parent reaches its child, whose monitor sees it", async () => {
  const { parent, child } = await family();
  const ending = monitored(child);
  await client.cancel(parent.runId);
  assert.equal(await ending, "cancelled");
  assert.equal((await client.get(child.childRunId)).error.code, "CANCELLED");
});

test("a parent that has ended takes no progress, and the child is not disturbed", async () => {
  const { parent, child, tell } = await family();
  await finalizeConversationAgentRun({ ...api, runId: parent.runId, status: "completed", provider: "p", model: "m" });
  await tell("completed");
  assert.equal((await client.get(child.childRunId)).status, "running");
});

test("a run that names no parent has the one that its conversation was made for", async () => {
  const { parent, spawned } = await family();
  const { id } = await createConversationRecord({
    ...api, body: buildHostedChildConversationBody({ ...spawned, ensureProjectId: projectId }),
  });
  const run = await createConversationAgentRun({ ...api, conversationId: id, agentId, runId: newId(), projectId });
  assert.equal((await client.get(run.runId)).parent_run_id, parent.runId);
  assert.ok((await children(parent)).some(({ run_id }) => run_id === run.runId));
});
