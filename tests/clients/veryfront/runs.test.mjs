// The client for runs: `veryfront/runs`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRunsClient } from "veryfront/runs";
import { api, apiUrl, authToken, call, eventsOf, eventually, newId, projectId } from "./perdure.mjs";

const retry = { maxRetries: 0 };
const client = createRunsClient({ ...api, projectReference: projectId, retry });

test("a task is created, read, listed and cancelled", async () => {
  const publicId = newId();
  const input = {
    projectId,
    publicId,
    name: "nightly",
    target: "task:nobody-runs-this",
    config: { depth: 2 },
    timeoutSeconds: 60,
    backoffLimit: 1,
  };
  const { accepted, run } = await client.createTaskRun(input);
  assert.equal(accepted, true);
  assert.equal(run.run_id, publicId);
  assert.equal(run.kind, "task");
  assert.equal(run.status, "pending");
  assert.deepEqual(run.owner, { kind: "project", id: projectId });
  assert.equal(run.root_run_id, publicId);
  assert.equal(run.target, input.target);
  assert.equal(run.timeout_seconds, 60);
  assert.equal(run.backoff_limit, 1);

  const again = await client.createTaskRun(input);
  assert.equal(again.duplicate, true);
  assert.equal(again.run.run_id, publicId);

  assert.deepEqual((await client.get(publicId)).config, { depth: 2 });
  const listed = await client.list({ limit: 50 });
  assert.equal(listed.data.filter((found) => found.run_id === publicId).length, 1);

  const cancelled = await client.cancel(publicId);
  assert.equal(cancelled.cancelled, true);
  assert.equal(cancelled.run.status, "cancelled");
  const repeated = await client.cancel(publicId);
  assert.equal(repeated.cancelled, false);
  assert.equal(repeated.run.status, "cancelled");

  const events = await eventsOf(client, publicId);
  assert.equal(events.at(-1).type, "RUN_ERROR");
  assert.equal(events.at(-1).code, "CANCELLED");
});

test("a child names its parent and shares its root, and is cancelled with it", async () => {
  const parent = await client.createTaskRun({ projectId, publicId: newId(), name: "a", target: "task:nobody" });
  const child = await client.createTaskRun({
    projectId,
    publicId: newId(),
    parentRunId: parent.run.run_id,
    name: "b",
    target: "task:nobody",
  });
  assert.equal(child.run.parent_run_id, parent.run.run_id);
  assert.equal(child.run.root_run_id, parent.run.run_id);
  await client.cancel(parent.run.run_id);
  await eventually(async () => (await client.get(child.run.run_id)).status === "cancelled", "the child is cancelled");
});

test("workflows and evals", async () => {
  const workflow = await client.createWorkflowRun({
    projectId,
    workflowId: "publish",
    target: "workflow:publish",
    input: { pages: [1, 2] },
    startMode: "manual",
    runtimeTargetKind: "main_branch",
  });
  assert.equal(workflow.run.kind, "workflow");
  assert.equal(workflow.run.workflow_id, "publish");
  assert.equal(workflow.run.start_mode, "manual");
  assert.equal(workflow.run.runtime_target_kind, "main_branch");
  assert.deepEqual((await client.get(workflow.run.run_id)).input, { pages: [1, 2] });

  const assessed = await client.createEvalRun({
    projectId,
    target: "eval:answers",
    input: { model: "small" },
    config: { samples: 3 },
    startMode: "manual",
  });
  assert.equal(assessed.run.kind, "eval");
  assert.deepEqual(assessed.run.config, { samples: 3 });
});

test("the three forms of knowledge ingestion are tasks", async () => {
  const made = [
    await client.knowledge.ingestByUploadIds({ projectId, uploadIds: ["u1"] }),
    await client.knowledge.ingestByUploadPaths({ projectId, uploadPaths: ["a/b.md"] }),
    await client.knowledge.ingestByUploadPrefix({ projectId, uploadPrefix: "a/" }),
  ];
  assert.deepEqual(made.map(({ run }) => run.target), Array(3).fill("task:knowledge-ingest"));
  assert.deepEqual(
    made.map(({ run }) => run.config),
    [{ upload_ids: ["u1"] }, { paths: ["a/b.md"] }, { path_prefix: "a/" }],
  );
});

test("the list of a project's runs, page by page", async () => {
  const made = [];
  for (let number = 0; number < 7; number += 1) {
    made.push((await client.createTaskRun({ projectId, name: `n${number}`, target: "task:listed" })).run.run_id);
  }
  const seen = [];
  let cursor;
  do {
    const page = await client.list({ cursor, limit: 3 });
    assert.ok(page.data.length <= 3);
    seen.push(...page.data.filter((run) => run.target === "task:listed").map((run) => run.run_id));
    cursor = page.page_info.next;
  } while (cursor !== null);
  assert.deepEqual(seen, made.reverse());
});

test("the project is found by its slug too", async () => {
  const { slug } = await call("GET", `/projects/${projectId}`);
  const page = await client.list({ projectReference: slug, limit: 1 });
  assert.equal(page.data.length, 1);
});

test("credentials of one request, and what they may not see", async () => {
  const other = createRunsClient({ apiUrl, authToken: `${authToken}x`, retry });
  await assert.rejects(other.get("r"), { status: 401 });
  other.setRequestToken(authToken);
  other.setProjectReference(projectId);
  assert.ok((await other.list()).data.length > 0);
  other.clearProjectReference();
  await assert.rejects(other.list());
  other.clearRequestToken();
  await assert.rejects(other.list({ projectReference: projectId }), { status: 401 });
});

test("refusals come as answers that the client does not repeat", async () => {
  const eager = createRunsClient({ ...api, projectReference: projectId, retry: { maxRetries: 3, initialDelay: 60_000 } });
  await assert.rejects(eager.get(newId()), { status: 404 });
  await assert.rejects(eager.events(newId()), { status: 404 });
  await assert.rejects(eager.cancel(newId()), { status: 404 });
  await assert.rejects(eager.list({ cursor: "nonsense" }), { status: 400 });
  await assert.rejects(eager.createTaskRun({ projectId, name: "", target: "task:x" }), { status: 400 });
  await assert.rejects(
    eager.createTaskRun({ projectId: "00000000-0000-4000-8000-00000000dead", name: "a", target: "task:x" }),
    { status: 404 },
  );
});
