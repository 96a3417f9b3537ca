// Workers of another implementation, which take runs from this server: `createExternalAgentWorkerClient`.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { createConversationAgentRun, createExternalAgentWorkerClient, getConversationRun } from "veryfront/agent";
import { createRunsClient } from "veryfront/runs";
import { api, eventsOf, eventually, newConversation, newId, projectId, restartServer, text } from "./perdure.mjs";

const client = createRunsClient({ ...api, projectReference: projectId, retry: { maxRetries: 0 } });
const workers = createExternalAgentWorkerClient(api);
const LEASE = 30;
const SHORTEST = 5;
const texts = (from, to) => Array.from({ length: to - from }, (_, index) => text(from + index));

async function worker(implementationKind = `kind-${randomUUID()}`) {
  return await workers.registerWorker({
    projectReference: projectId,
    implementationKind,
    implementationDisplayName: "Another implementation",
    workerKey: randomUUID(),
    displayName: "One of its workers",
    metadata: { version: 3 },
  });
}

async function queued(implementationKind, more = {}) {
  return await createConversationAgentRun({
    ...api,
    conversationId: await newConversation(),
    agentId: "theirs",
    projectId,
    implementationKind,
    ...more,
  });
}

const claim = (workerId, leaseDurationSeconds = LEASE) => workers.claimRun({ workerId, leaseDurationSeconds });

test("a worker is registered as often as it starts, and lives while its heart beats", async () => {
  const input = {
    projectReference: projectId,
    implementationKind: "kind",
    implementationDisplayName: "Kind",
    workerKey: "host-1",
    displayName: "Host 1",
  };
  const first = await workers.registerWorker(input);
  assert.equal(first.project_id, projectId);
  assert.equal(first.implementation_kind, "kind");
  assert.equal(first.worker_key, "host-1");
  const again = await workers.registerWorker(input);
  assert.equal(again.worker_key, "host-1");
  assert.equal((await workers.heartbeatWorker(again.id)).id, again.id);
  const beaten = await workers.heartbeatWorker(first.id);
  assert.equal(beaten.id, first.id);
  assert.ok(Date.parse(beaten.last_heartbeat_at) >= Date.parse(first.last_heartbeat_at ?? 0));
  await assert.rejects(workers.heartbeatWorker(randomUUID()));
});

test("a run from the claim to its end, by a worker", async () => {
  const { id: workerId, implementation_kind: kind } = await worker();
  assert.equal(await claim(workerId), null);
  const run = await queued(kind);
  const claimed = await claim(workerId);
  assert.equal(claimed.run_id, run.runId);
  assert.equal(claimed.conversation_id, run.conversationId);
  assert.equal(claimed.message_id, run.messageId);
  assert.equal(claimed.agent_id, "theirs");
  assert.equal(claimed.status, "running");
  assert.ok(Date.parse(claimed.lease_expires_at) > Date.now());
  assert.equal(claimed.worker_session, null);
  assert.equal(await claim(workerId), null, "it is taken");

  const session = await workers.recordSession({
    workerId,
    runId: run.runId,
    sessionKey: "session-1",
    status: "active",
    metadata: { pid: 7 },
  });
  assert.equal(session.run_id, run.runId);
  assert.equal(session.worker_id, workerId);
  const renewed = await workers.renewLease({ workerId, runId: run.runId, leaseDurationSeconds: LEASE });
  assert.ok(Date.parse(renewed.lease_expires_at) >= Date.parse(claimed.lease_expires_at));
  assert.equal(renewed.worker_session.session_key, "session-1");

  const { conversationId, runId } = run;
  const before = claimed.latest_external_event_sequence;
  await workers.appendRunEvents({
    conversationId,
    runId,
    events: texts(0, 3),
    expectedPreviousExternalEventSequence: before,
  });
  await workers.appendRunEvents({
    conversationId,
    runId,
    events: texts(0, 4),
    expectedPreviousExternalEventSequence: before,
  });
  await workers.recordSession({ workerId, runId, sessionKey: "session-1", status: "completed" });
  await workers.completeRun({ runId, status: "completed" });
  assert.equal((await getConversationRun({ ...api, ...run })).status, "completed");
  const said = (await eventsOf(client, runId)).filter(({ type }) => type === "TEXT_MESSAGE_CONTENT");
  assert.deepEqual(said, texts(0, 4), "a repeated append is stored once");
  assert.equal(await workers.renewLease({ workerId, runId, leaseDurationSeconds: LEASE }), null);
  await workers.completeRun({ runId, status: "completed" });
});

test("a worker that fails says why", async () => {
  const { id: workerId, implementation_kind: kind } = await worker();
  const { runId } = await queued(kind);
  await claim(workerId);
  await workers.completeRun({
    runId,
    status: "failed",
    terminalErrorCode: "RUNTIME_ERROR",
    terminalErrorMessage: "It broke.",
  });
  const { status, error } = await client.get(runId);
  assert.equal(status, "failed");
  assert.deepEqual(error, { message: "It broke.", code: "RUNTIME_ERROR" });
});

test("many workers share the runs: each run goes to one of them", async () => {
  const kind = `kind-${randomUUID()}`;
  const team = await Promise.all([worker(kind), worker(kind), worker(kind), worker(kind)]);
  const made = await Promise.all(Array.from({ length: 12 }, () => queued(kind)));
  const taken = (await Promise.all(
    team.map(async ({ id }) => {
      const mine = [];
      for (let run = await claim(id); run !== null; run = await claim(id)) mine.push(run.run_id);
      return mine;
    }),
  )).flat();
  assert.deepEqual(taken.sort(), made.map(({ runId }) => runId).sort());
});

test("a lease that runs out frees the run for another worker, and the late one learns it", async () => {
  const kind = `kind-${randomUUID()}`;
  const [late, other] = [await worker(kind), await worker(kind)];
  const run = await queued(kind);
  assert.equal((await claim(late.id, SHORTEST)).run_id, run.runId);
  await workers.appendRunEvents({ ...run, events: texts(0, 2) });
  let taken = null;
  await eventually(async () => (taken = await claim(other.id)) !== null, "the run is free again");
  assert.equal(taken.run_id, run.runId);
  assert.ok(taken.latest_external_event_sequence >= 2, "what was said stays");
  assert.equal(await workers.renewLease({ workerId: late.id, runId: run.runId, leaseDurationSeconds: LEASE }), null);
  await workers.completeRun({ runId: run.runId, status: "completed" });
  assert.equal((await client.get(run.runId)).status, "completed");
});

test("a cancelled run is nobody's: it cannot be claimed, and its worker learns it", async () => {
  const { id: workerId, implementation_kind: kind } = await worker();
  const waiting = await queued(kind);
  await client.cancel(waiting.runId);
  assert.equal(await claim(workerId), null);
  const taken = await queued(kind);
  assert.equal((await claim(workerId)).run_id, taken.runId);
  await client.cancel(taken.runId);
  await eventually(
    async () => (await workers.renewLease({ workerId, runId: taken.runId, leaseDurationSeconds: LEASE })) === null,
    "the lease is gone",
  );
  await assert.rejects(workers.appendRunEvents({ ...taken, events: texts(0, 1) }), /terminal run/);
  await eventually(async () => (await client.get(taken.runId)).status === "cancelled", "the run is cancelled");
});

test("the server dies: the worker keeps its run, its token and its lease", async () => {
  const { id: workerId, implementation_kind: kind } = await worker();
  const run = await queued(kind);
  const claimed = await claim(workerId, 60);
  await workers.appendRunEvents({ ...run, events: texts(0, 1) });
  await restartServer();
  assert.equal((await workers.heartbeatWorker(workerId)).id, workerId);
  const held = await workers.renewLease({ workerId, runId: run.runId, leaseDurationSeconds: 60 });
  assert.equal(held.run_id, claimed.run_id);
  await workers.appendRunEvents({
    ...run,
    events: texts(1, 2),
    expectedPreviousExternalEventSequence: held.latest_external_event_sequence,
  });
  await workers.completeRun({ runId: run.runId, status: "completed" });
  const said = (await eventsOf(client, run.runId)).filter(({ type }) => type === "TEXT_MESSAGE_CONTENT");
  assert.deepEqual(said, texts(0, 2));
});
