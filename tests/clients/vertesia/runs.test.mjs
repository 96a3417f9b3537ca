// Agent runs from beginning to end (sections 1.1, 1.7, 2 and 4 of the protocol).
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { validateApiRequest } from "@vertesia/common/api-schemas";
import { agents, apiUrl, authToken, clientOf, converse, ended, eventually, idle, projectId, runWhen, start } from "./perdure.mjs";

const NOWHERE = "0190000000007000800000000000dead";

/** A request with the contract's version of one's choice. */
async function post(path, body, headers = {}) {
  const response = await fetch(`${apiUrl}/api/v1/agents${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${authToken}`, "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  return [response.status, await response.json()];
}

test("everything that a start can say is kept, and told again by every answer", async () => {
  const payload = {
    interaction: "obedient",
    data: { task: "hello", more: { deep: [1, "two"] } },
    config: { environment: "default", model: "obedient-1" },
    interactive: false,
    tool_approval_mode: "full_control",
    tool_names: ["+look", "-send"],
    excluded_tools: ["broken"],
    initial_skills: ["writing"],
    collection_id: "65f000000000000000000001",
    disabled_mcp_collections: ["mcp-a"],
    visibility: "project",
    tags: ["red", "blue"],
    categories: ["colours"],
    properties: { ticket: 7, nested: { a: null } },
    source_type: "api",
    search_scope: "collection",
    user_channels: [{ type: "interactive" }],
    checkpoint_tokens: 100,
    max_iterations: 7,
    debug_mode: true,
    title: "A title",
    topic: "A topic",
  };
  assert.ok(validateApiRequest("CreateAgentRunPayload", payload).valid);
  const made = await agents.start(payload);
  assert.equal(made.status, "running");
  const run = await ended(made.id);
  assert.equal(run.status, "completed");
  for (const shown of [made, run, (await agents.list({ id: made.id })).items[0]]) {
    for (const name of Object.keys(payload)) {
      if (["search_scope", "user_channels", "checkpoint_tokens", "debug_mode", "max_iterations"].includes(name)) {
        assert.ok(!(name in shown), `${name} is for the run alone`);
      } else if (name !== "config") assert.deepEqual(shown[name], payload[name], name);
    }
    assert.equal(shown.config.environment, "default");
    assert.equal(shown.config.model, "obedient-1");
    assert.deepEqual([shown.environment, shown.model], ["default", "obedient-1"], "as the seed has them");
    assert.deepEqual([shown.run_kind, shown.run_type, shown.project], ["agent", "autonomous", projectId]);
    assert.equal(shown.interactionRef.name, "obedient");
    assert.match(shown.started_by, /^apikey:./);
    assert.equal(shown.source.principal_type, "apikey");
  }
  assert.ok(Date.parse(run.completed_at) >= Date.parse(run.started_at));
  assert.ok(!("activity_state" in run));
});

test("environment and model may stand at the top level, as the seed has them", async () => {
  const made = await agents.start({ interaction: "obedient", interactive: false, environment: "default", model: "m", data: {} });
  assert.deepEqual([made.environment, made.model, made.config.model], ["default", "m", "m"]);
});

test("defaults: interactive, for the project, and it waits for its user when there is nothing to do", async () => {
  const made = await agents.start({ interaction: "obedient" });
  assert.deepEqual([made.interactive, made.visibility, made.status], [true, "project", "running"]);
  assert.equal((await idle(made.id)).status, "running");
});

test("versions of interactions", async () => {
  for (const [selector, found] of [
    ["obedient@draft", "obedient"],
    ["obedient@3", "obedient"],
    ["obedient@stable", "obedient"],
    ["obedient/other@2", "obedient/other"],
  ]) {
    const made = await agents.start({ interaction: selector, interactive: false, data: { task: "hello" } });
    assert.equal(made.interaction, selector);
    assert.equal(made.interactionRef.id, found);
    assert.equal((await ended(made.id)).status, "completed");
  }
  for (const selector of ["nobody@3", "nobody", ""]) {
    await assert.rejects(agents.start({ interaction: selector }), ({ status }) => [400, 404].includes(status));
  }
});

test("a start that does not fit changes nothing, and says where", async () => {
  const before = (await agents.list()).total_count;
  for (const [body, told] of [
    [{}, /interaction/],
    [{ interaction: 7 }, /interaction/],
    [{ interaction: "obedient", data: "hello" }, /data/],
    [{ interaction: "obedient", visibility: "everybody" }, /visibility/],
    [{ interaction: "obedient", surprise: 1 }, /surprise/],
  ]) {
    await assert.rejects(agents.start(body), ({ status, message }) => status === 400 && told.test(message));
  }
  assert.equal((await agents.list()).total_count, before);
});

test("undeclared members and parameters are refused from a version of the contract on, and ignored before", async () => {
  const body = { interaction: "obedient", interactive: false, data: { task: "hello" }, surprise: 1 };
  for (const [version, status] of [[undefined, 400], ["20260803", 400], ["20270101", 400], ["20260802", 200]]) {
    const [answered, run] = await post("", body, version ? { "x-api-version": version } : {});
    assert.equal(answered, status, `${version}`);
    if (status === 200) assert.ok(!("surprise" in run));
    const response = await fetch(`${apiUrl}/api/v1/agents?surprise=1`, {
      headers: { authorization: `Bearer ${authToken}`, ...(version ? { "x-api-version": version } : {}) },
    });
    assert.equal(response.status, status);
  }
});

test("the three names of reading one, and runs that are not there", async () => {
  const { id } = await start("obedient", "hello");
  const run = await ended(id);
  assert.deepEqual(await agents.retrieveRun(id), run);
  assert.deepEqual(await agents.retrieveProcess(id), run);
  for (const [name, ...more] of [
    ["retrieve"], ["retrieveRun"], ["retrieveProcess"], ["terminate"], ["restart"], ["fork"], ["getInternals"], ["getRunDetails"],
    ["listChildren"], ["getChildDetails", "c"], ["retrieveMessages"], ["postMessage", { message: "m" }], ["listArtifacts"],
    ["sendSignal", "UserInput", { message: "m" }], ["query", "AgentPlan"], ["getActiveWorkstreams"],
    ["getArtifactUrl", "a"], ["getArtifactContent", "a"], ["updateArtifactContent", "a", { content: "", generation: "1" }],
    ["updateStatus", { title: "t" }], ["ingestEvents", []],
  ]) {
    await assert.rejects(agents[name](NOWHERE, ...more), { status: 404 }, name);
  }
});

test("lists: every filter, both orders, pages by cursor and by offset", async () => {
  const tag = `interaction-of-lists`;
  const made = [];
  for (const word of ["hello", "fail", "hello", "hello", "fail"]) made.push((await start("obedient/other", word)).id);
  for (const id of made) await ended(id);
  const ids = ({ items }) => items.map(({ id }) => id);
  const mine = { interaction: "obedient/other", since: (await agents.retrieve(made[0])).created_at };
  const all = await agents.list({ ...mine, sort: "started_at", order: "asc" });
  const known = ids(all);
  assert.ok(made.slice(1).every((id) => known.includes(id)), tag);
  const completed = await agents.list({ ...mine, status: "completed" });
  assert.ok(completed.items.every(({ status }) => status === "completed"));
  const both = await agents.list({ ...mine, status: ["completed", "failed"] });
  assert.equal(both.total_count, all.total_count);
  const failed = await agents.list({ ...mine, status: ["failed"] });
  assert.equal(failed.total_count + completed.total_count, both.total_count);
  assert.equal((await agents.list({ ...mine, status: ["running", "created"] })).total_count, 0);

  for (const order of ["asc", "desc"]) {
    for (const sort of ["started_at", "updated_at"]) {
      const whole = ids(await agents.list({ ...mine, sort, order }));
      const paged = [];
      let cursor;
      do {
        const page = await agents.list({ ...mine, sort, order, cursor, limit: 2 });
        assert.equal(page.total_count, all.total_count);
        assert.ok(page.items.length <= 2);
        paged.push(...ids(page));
        cursor = page.next_cursor;
      } while (cursor !== null);
      assert.deepEqual(paged, whole);
      const skipped = await agents.list({ ...mine, sort, order, offset: 1, limit: 2 });
      assert.deepEqual(ids(skipped), whole.slice(1, 3));
    }
  }
  assert.deepEqual(known, ids(await agents.list({ ...mine, order: "desc" })).reverse());

  const one = await agents.retrieve(made[2]);
  assert.deepEqual(ids(await agents.list({ id: one.id })), [one.id]);
  assert.ok(ids(await agents.list({ started_by: one.started_by, limit: 200 })).includes(one.id));
  assert.equal((await agents.list({ started_by: "user:somebody" })).total_count, 0);
  assert.ok(!ids(await agents.list({ since: one.started_at, limit: 200 })).includes(one.id), "since: strictly after");
  assert.ok(ids(await agents.list({ until: one.started_at, limit: 200 })).includes(one.id), "until: at or before");
  assert.ok(ids(await agents.list({ type: "api", limit: 200 })).includes(one.id));
  assert.equal((await agents.list({ type: "schedule" })).total_count, 0);
  assert.equal((await agents.list({ schedule_id: "none" })).total_count, 0);
  assert.ok((await agents.list({ run_type: ["autonomous"], run_kind: "agent" })).total_count > 0);
  assert.equal((await agents.list({ run_type: ["supervised"] })).total_count, 0);
  assert.deepEqual(await agents.listProcessRuns(), []);
  assert.ok((await agents.list()).items.length <= 50);
  for (const wrong of [{ cursor: "nonsense" }, { status: "sleepy" }, { sort: "name" }, { order: "up" }, { since: "soon" }]) {
    await assert.rejects(agents.list(wrong), { status: 400 }, JSON.stringify(wrong));
  }
});

test("a run that fails", async () => {
  const { id } = await start("obedient", "fail");
  assert.equal((await ended(id)).status, "failed");
});

test("terminate, with a reason and without, and again", async () => {
  const slow = await start("obedient", "wait never");
  await runWhen(slow.id, ({ activity_state }) => activity_state === "working", "it works");
  const said = await agents.terminate(slow.id, "No longer needed");
  assert.equal(said.reason, "No longer needed");
  const run = await ended(slow.id);
  assert.equal(run.status, "cancelled");
  assert.ok(run.completed_at);
  await agents.terminate(slow.id, "Twice");
  assert.deepEqual(await agents.retrieve(slow.id), run);

  const waits = await converse("obedient");
  await idle(waits.id);
  assert.equal((await agents.terminate(waits.id)).reason, undefined);
  assert.equal((await ended(waits.id)).status, "cancelled");

  const done = await start("obedient", "hello");
  const before = await ended(done.id);
  await agents.terminate(done.id);
  assert.deepEqual(await agents.retrieve(done.id), before);
});

test("restart: the same run, from each of the three ends, and not while it runs", async () => {
  const completed = await start("obedient", "hello");
  const failed = await start("obedient", "fail");
  const cancelled = await start("obedient", "wait restart");
  await assert.rejects(agents.restart(cancelled.id), { status: 409 });
  await agents.terminate(cancelled.id);
  for (const { id } of [completed, failed, cancelled]) {
    const before = await ended(id);
    const again = await agents.restart(id);
    assert.deepEqual([again.id, again.status, again.completed_at], [id, "running", undefined]);
    assert.equal(again.created_at, before.created_at);
    await agents.terminate(id);
    await ended(id);
  }
});

test("fork: a run of its own with the same interaction, data and config", async () => {
  const source = await start("obedient", "hello", { tags: ["t"], properties: { a: 1 }, config: { environment: "default" } });
  const before = await ended(source.id);
  const fork = await agents.fork(source.id);
  assert.notEqual(fork.id, source.id);
  assert.equal(fork.forked_from, source.id);
  assert.equal(fork.status, "running");
  for (const name of ["interaction", "data", "config", "environment"]) assert.deepEqual(fork[name], before[name], name);
  assert.deepEqual(await agents.retrieve(source.id), before, "the source is as it was");
  await idle(fork.id);
  const again = await agents.fork(fork.id);
  assert.equal(again.forked_from, fork.id);
  await agents.terminate(fork.id);
  await agents.terminate(again.id);
});

test("the addresses that a run names are told of its end", async () => {
  const told = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    told.push(JSON.parse(Buffer.concat(chunks)));
    response.writeHead(told.length === 1 ? 503 : 200).end(); // the first is tried again
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const notify_endpoints = [`http://127.0.0.1:${server.address().port}/ended`];
  const { id } = await start("obedient", "hello", { notify_endpoints });
  await eventually(() => told.length === 2, "it is told");
  assert.deepEqual(told[1], told[0]);
  assert.deepEqual([told[1].runId, told[1].status, told[1].result], [id, "completed", "You said: hello"]);
  assert.equal(told[1].workflowId, (await agents.getInternals(id)).workflow_id);
  server.close();
});

test("process runs are not built", async () => {
  await assert.rejects(agents.start({ process_id: "65f000000000000000000002" }), { status: 501 });
  const definition = { format_version: 1, process: "p", initial: "a", context: { schema: {}, initial: {} }, nodes: {} };
  await assert.rejects(agents.start({ process_definition: definition }), { status: 501 });
});

test("a slash at the end of a path does not matter", async () => {
  const headers = { authorization: `Bearer ${authToken}` };
  const response = await fetch(`${apiUrl}/api/v1/agents/`, { headers });
  assert.equal(response.status, 200);
  assert.ok((await response.json()).items.length > 0);
});

test("a wrong key is told in the dialect's words", async () => {
  const { agents: stranger } = clientOf(`${authToken}x`);
  await assert.rejects(stranger.list(), { status: 401 });
  await assert.rejects(stranger.start({ interaction: "obedient" }), { status: 401 });
});
