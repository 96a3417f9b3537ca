// What is known of runs: internals, details, children, search, analytics, and runs that others execute (1.3, 1.5 to 1.9).
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { validateApiRequest } from "@vertesia/common/api-schemas";
import { agents, answers, assertHeardAll, call, converse, ended, eventually, follow, idle, kinds, open } from "./perdure.mjs";
import { projectId, restartServer, start, Type } from "./perdure.mjs";

/** A child run, started through the other dialect; its id. */
async function child(parent, task) {
  const made = await call("POST", "/runs", {
    kind: "agent",
    owner: { kind: "project", id: projectId },
    parent_run_id: parent,
    request: {
      mode: "agent",
      agent_id: "obedient",
      input: { messages: [{ role: "user", content: task }], context: { project_id: null, branch_id: null } },
    },
  });
  return made.run.run_id;
}

describe("details", { concurrency: true }, () => {
  test("internals, of a run that works and of one that has ended", async () => {
    const { id } = await start("obedient", `wait in-${process.pid}`);
    const live = await agents.getInternals(id);
    assert.deepEqual([live.id, live.status.toUpperCase(), live.artifacts_path], [id, "RUNNING", `agents/${id}`]);
    assert.ok(live.workflow_id && live.first_workflow_run_id);
    open(`in-${process.pid}`);
    const run = await ended(id);
    const done = await agents.getInternals(id);
    assert.deepEqual([done.status, done.completed_at], ["completed", run.completed_at]);
    assert.deepEqual([done.workflow_id, done.first_workflow_run_id], [live.workflow_id, live.first_workflow_run_id]);
    assert.equal((await agents.restart(id)).id, id);
    assert.equal((await agents.getInternals(id)).workflow_id, live.workflow_id);
    await agents.terminate(id);
  });

  test("details: the history and the payloads are there when they are asked for", async () => {
    const { id } = await start("obedient", "both hands");
    await ended(id);
    const bare = await agents.getRunDetails(id);
    assert.ok(!("history" in bare));
    assert.ok(bare.started_at && bare.closed_at);
    const lean = await agents.getRunDetails(id, { includeHistory: true });
    const full = await agents.getRunDetails(id, { includeHistory: true, hydratePayloads: true });
    for (const { history } of [lean, full]) {
      const told = JSON.stringify(history);
      for (const tool of ["look", "count"]) assert.ok(told.includes(tool), tool);
    }
    assert.ok(JSON.stringify(full).includes("saw hands"));
    assert.ok(!JSON.stringify(lean).includes("saw hands"));

    const waits = await start("obedient", `wait det-${process.pid}`);
    await eventually(async () => (await agents.retrieveMessages(waits.id)).some((m) => m.details?.tool === "gate"), "it waits");
    const working = await agents.getRunDetails(waits.id, { includeHistory: true });
    assert.equal(working.closed_at, null);
    assert.ok(JSON.stringify(working.pendingActivities).includes("gate"));
    open(`det-${process.pid}`);
    await ended(waits.id);
  });

  test("details as they come", async () => {
    const { id } = await start("obedient", `wait dstream-${process.pid}`);
    const told = [];
    const end = agents.streamRunDetails(id, (event) => told.push(event));
    await eventually(() => JSON.stringify(told).includes("gate"), "the tool is called");
    assert.ok(!told.some(({ type }) => type === "control"));
    open(`dstream-${process.pid}`);
    await end;
    assert.deepEqual(told.at(-1), { type: "control", data: { type: "done" } });
    const late = [];
    await agents.streamRunDetails(id, (event) => late.push(event));
    assert.deepEqual(late, told, "who comes late is told the same");
    const stopped = new AbortController();
    const { id: waits } = await converse("obedient");
    const following = agents.streamRunDetails(waits, () => {}, stopped.signal);
    await idle(waits);
    stopped.abort();
    await following;
    await assert.rejects(agents.streamRunDetails("0190000000007000800000000000dead", () => {}));
    await agents.terminate(waits);
  });

  test("children and their details", async () => {
    const { id } = await converse("obedient", "hello");
    assert.deepEqual((await agents.listChildren(id)).runs, []);
    const [one, two] = [await child(id, "both ears"), await child(id, "fail")];
    await ended(one);
    await ended(two);
    const { runs } = await agents.listChildren(id);
    assert.deepEqual(runs.map((run) => run.workflow_id).sort(), [`agent:${one}`, `agent:${two}`].sort());
    for (const name of [one, `agent:${one}`]) {
      const details = await agents.getChildDetails(id, name, { includeHistory: true, hydratePayloads: true });
      assert.equal(details.workflow_id, `agent:${one}`);
      assert.ok(JSON.stringify(details.history).includes("saw ears"));
    }
    assert.equal((await agents.retrieve(one)).parent_run_id, id, "a child is a run like any other");
    assert.equal((await agents.getRunDetails(id)).children.length, 2);
    const { id: stranger } = await converse("obedient");
    await assert.rejects(agents.getChildDetails(stranger, one), { status: 404 });
    await agents.terminate(id);
    await agents.terminate(stranger);
  });

  test("what only process runs have", async () => {
    const { id } = await start("obedient", "hello");
    await assert.rejects(agents.getContext(id), { status: 400 });
    await assert.rejects(agents.getHistory(id), { status: 400 });
    await assert.rejects(agents.advance(id, { target: "n" }), { status: 400 });
    await assert.rejects(agents.retryNode(id, { node: "n" }), { status: 400 });
    await assert.rejects(agents.answerTask(id, "task", {}), { status: 400 });
  });
});

describe("runs that others execute", { concurrency: true }, () => {
  const workflow = (name) => ({ workflow_id: `wf-${name}-${process.pid}`, first_workflow_run_id: `first-${name}` });

  test("recorded, told about, and ended", async () => {
    const payload = { ...workflow("one"), interaction: "theirs@3", data: { task: "far away" }, title: "Far" };
    assert.ok(validateApiRequest("RecordAgentRunPayload", payload).valid);
    const run = await agents.recordRun(payload);
    assert.deepEqual([run.interaction, run.data, run.title], ["theirs@3", { task: "far away" }, "Far"]);
    assert.equal((await agents.createRecord(payload)).id, run.id, "the same execution is the same run");
    const heard = follow(run.id);
    let now = await agents.updateStatus(run.id, { status: "running", activity_state: "idle", properties: { a: 1, b: 1 } });
    assert.deepEqual([now.status, now.activity_state, now.properties], ["running", "idle", { a: 1, b: 1 }]);
    now = await agents.updateStatus(run.id, {
      activity_state: "working", topic: "Distance", lessons_learned: ["walk"], properties: { b: 2 }, model: "theirs-2",
      disabled_mcp_collections: ["x"], tool_approval_mode: "ask", archive_state: "none", content: `zanzibar${process.pid}`,
    });
    assert.deepEqual([now.activity_state, now.topic, now.lessons_learned], ["working", "Distance", ["walk"]]);
    assert.deepEqual([now.properties, now.disabled_mcp_collections], [{ a: 1, b: 2 }, ["x"]]);
    assert.ok(!JSON.stringify(now).includes("zanzibar"), "what it is found by is not shown");
    assert.deepEqual((await agents.updateStatus(run.id, { disabled_mcp_collections: [] })).disabled_mcp_collections ?? [], []);
    const bound = await agents.bindWorkflowRun(run.id, { ...workflow("two"), activity_state: "idle" });
    assert.equal(bound.id, run.id);
    const internals = await agents.getInternals(run.id);
    assert.deepEqual([internals.workflow_id, internals.first_workflow_run_id], Object.values(workflow("two")));
    await agents.postMessage(run.id, { type: Type.ANSWER, message: "It is far." });
    await agents.updateStatus(run.id, { status: "completed" });
    await heard.end;
    await assertHeardAll(heard, run.id);
    assert.deepEqual(answers(heard.stored), ["It is far."]);
    const done = await ended(run.id);
    assert.ok(done.completed_at);
    await agents.updateStatus(run.id, { status: "failed" }).catch(({ status }) => assert.equal(status, 409));
    assert.equal((await agents.retrieve(run.id)).status, "completed", "the first end stays");
    await eventually(async () => (await agents.search({ query: `zanzibar${process.pid}` })).total === 1, "it is found");
    await assert.rejects(agents.updateStatus(run.id, { surprise: 1 }), { status: 400 });
    await assert.rejects(agents.recordRun({ interaction: "x" }), { status: 400 });
    await assert.rejects(agents.recordRun({ ...workflow("p"), run_kind: "process" }), ({ status }) => [400, 501].includes(status));
  });

  test("which fail, and which are cancelled", async () => {
    const failed = await agents.recordRun({ ...workflow("failed"), interaction: "theirs" });
    await agents.updateStatus(failed.id, { status: "running" });
    const heard = follow(failed.id);
    await agents.updateStatus(failed.id, { status: "failed" });
    await heard.end;
    assert.deepEqual(kinds(heard.stored).slice(-2), ["ERROR", "TERMINATED"]);
    const cancelled = await agents.recordRun({ ...workflow("cancelled"), interaction: "theirs" });
    await agents.terminate(cancelled.id);
    assert.equal((await ended(cancelled.id)).status, "cancelled");
  });

  test("telemetry counts once, however often it is sent", async () => {
    const { id } = await agents.recordRun({ ...workflow("told"), interaction: `told-${process.pid}` });
    const common = {
      timestamp: new Date().toISOString(), runId: id, agentRunId: id, model: "their-model", environmentId: "their-env",
      environmentType: "openai", interactionId: `told-${process.pid}`,
    };
    const llm = {
      ...common, eventType: "llm_call", promptTokens: 100, completionTokens: 20, totalTokens: 120, durationMs: 1500, success: true,
      streamingEnabled: true, toolUseCount: 1, callType: "start", promptCachedTokens: 40,
    };
    const tool = {
      ...common, eventType: "tool_call", toolName: "fetch_page", toolUseId: "t1", toolType: "remote", iteration: 1, success: false,
      durationMs: 300, parameters: { url: "https://example.com" }, errorType: "timeout", errorMessage: "too slow",
    };
    const events = [
      { ...common, eventType: "agent_run_started", interactive: false },
      llm,
      tool,
      { ...common, eventType: "agent_run_completed", success: true, durationMs: 2000, totalIterations: 1, totalToolCalls: 1, totalLlmCalls: 1 },
    ];
    assert.ok(validateApiRequest("IngestAgentEventsPayload", { events }).valid);
    for (let again = 0; again < 2; again += 1) assert.equal((await agents.ingestEvents(id, events)).ingested, 4);
    const filter = { agentRunIds: [id] };
    await eventually(async () => (await agents.getAnalyticsSummary({ filter })).summary.totalLlmCalls === 1, "it counts");
    const { summary } = await agents.getTokenUsageAnalytics({ filter });
    assert.deepEqual([summary.inputTokens, summary.outputTokens, summary.cachedInputTokens], [100, 20, 40]);
    const { tools } = await agents.getToolAnalytics({ filter });
    assert.deepEqual(tools.map(({ toolName, invocationCount, successRate }) => [toolName, invocationCount, successRate]), [["fetch_page", 1, 0]]);
    const { analytics } = await agents.getToolParameterAnalytics({ toolName: "fetch_page", filter });
    assert.equal(analytics.parameters.url.topValues[0].value, "https://example.com");
    assert.equal((await agents.getLlmLatencyAnalytics({ filter })).summary.avgMs, 1500);
    for (const wrong of [[{ eventType: "llm_call" }], [{ ...llm, surprise: 1 }], [{ ...tool, eventType: "nothing" }]]) {
      await assert.rejects(agents.ingestEvents(id, wrong), { status: 400 });
    }
  });
});

test("search: words, phrases, filters, order and pages", async () => {
  const mark = `quokka${process.pid}`;
  const made = [];
  for (const [number, more] of [
    { title: `${mark} in the title`, tags: ["one", "two"] },
    { topic: `on the ${mark}`, categories: ["animals"], tags: ["two"] },
    { data: { task: `tell of the ${mark} and the wombat` } },
  ].entries()) {
    made.push((await start("obedient", `number ${number}`, more)).id);
  }
  for (const id of made) await ended(id);
  const ids = (found) => found.hits.map(({ id }) => id);
  await eventually(async () => (await agents.search({ query: mark })).total === 3, "all are found");
  const found = await agents.search({ query: mark });
  assert.deepEqual(ids(found).sort(), [...made].sort());
  assert.ok(found.hits.every(({ score }, index, all) => index === 0 || score <= all[index - 1].score), "the best first");
  for (const [query, wanted] of [
    [{ query: `${mark} wombat` }, [2]],
    [{ query: `"the ${mark}" -wombat` }, [1]],
    [{ query: mark.slice(0, -1) }, [0, 1, 2]],
    [{ query: mark, tags: ["two"] }, [0, 1]],
    [{ query: mark, tags: ["one"] }, [0]],
    [{ query: mark, categories: ["animals"] }, [1]],
    [{ query: mark, status: "failed" }, []],
    [{ query: mark, status: ["failed", "completed"], interaction: "obedient" }, [0, 1, 2]],
    [{ query: mark, interaction: "writer" }, []],
    [{ query: mark, started_by: "user:nobody" }, []],
    [{ query: mark, since: new Date(Date.now() + 60_000).toISOString() }, []],
    [{ query: mark, until: new Date(Date.now() + 60_000).toISOString() }, [0, 1, 2]],
    [{ query: mark, content_type_name: "none" }, []],
    [{ query: `${mark}-and-nothing-else-of-this` }, []],
  ]) {
    const { hits, total } = await agents.search(query);
    assert.deepEqual(hits.map(({ id }) => made.indexOf(id)).sort(), wanted, JSON.stringify(query));
    assert.equal(total, wanted.length);
  }
  const sorted = await agents.search({ query: mark, sort: ["started_at:asc"] });
  assert.deepEqual(ids(sorted), made);
  const page = await agents.search({ query: mark, sort: ["started_at:asc"], limit: 1, offset: 1 });
  assert.deepEqual([ids(page), page.total], [[made[1]], 3]);
  assert.ok((await agents.search()).total >= 3, "without words all runs are found");
  await assert.rejects(agents.search({ sort: ["size:asc"] }), { status: 400 });
  await assert.rejects(agents.search({ status: "sleepy" }), { status: 400 });
});

test("analytics: every question, of runs that nobody told telemetry of", async () => {
  const mark = "obedient/other";
  const runs = [];
  for (const word of ["both hands", "look up", "fail", "hello"]) runs.push((await start(mark, word)).id);
  for (const id of runs) await ended(id);
  const filter = { agents: [mark] };
  const summary = async () => (await agents.getAnalyticsSummary({ filter })).summary;
  await eventually(async () => (await summary()).totalToolCalls === 3, "the calls are counted");
  await eventually(async () => (await summary()).totalLlmCalls >= 6, "so are those of models");
  const all = await summary();
  assert.deepEqual([all.totalRuns, all.successfulRuns, all.failedRuns, all.ongoingRuns, all.nonInteractiveRunCount], [4, 3, 1, 0, 4]);
  assert.deepEqual([...all.uniqueTools].sort(), ["count", "look"]);
  assert.ok(all.tokenUsage.totalTokens > 0 && all.tokenUsage.totalTokens === all.tokenUsage.inputTokens + all.tokenUsage.outputTokens);
  assert.ok(all.p95RunDurationMs >= all.avgRunDurationMs / 2);

  const tokens = await agents.getTokenUsageAnalytics({ filter, groupBy: "agent", resolution: "hour" });
  assert.equal(tokens.summary.totalTokens, all.tokenUsage.totalTokens);
  assert.deepEqual(tokens.byDimension.map(({ dimension }) => dimension), [mark]);
  assert.deepEqual(tokens.byDimension[0].usage, tokens.summary);
  const hours = tokens.timeSeries.map(({ timestamp, timestampEnd }) => Date.parse(timestampEnd) - Date.parse(timestamp));
  assert.ok(hours.length >= 1 && hours.every((length) => length === 3_600_000));
  assert.equal((await agents.getLlmLatencyAnalytics({ filter })).summary.count, all.totalLlmCalls);
  const latency = await agents.getToolLatencyAnalytics({ filter, groupBy: "tool" });
  assert.equal(latency.summary.count, 3);
  assert.deepEqual(latency.byDimension.map(({ dimension }) => dimension).sort(), ["count", "look"]);
  const runLatency = await agents.getAgentLatencyAnalytics({ filter });
  assert.equal(runLatency.summary.count, 4);
  assert.equal(runLatency.summary.successRate, all.successRate);
  const errors = await agents.getErrorAnalytics({ filter, groupBy: "errorType" });
  assert.ok(errors.summary.errorCount >= 1);
  const { tools, totalInvocations } = await agents.getToolAnalytics({ filter });
  assert.equal(totalInvocations, 3);
  assert.deepEqual(tools.map(({ toolName, invocationCount }) => [toolName, invocationCount]).sort(), [["count", 1], ["look", 2]]);
  const { analytics } = await agents.getToolParameterAnalytics({ toolName: "look", filter });
  assert.deepEqual(analytics.parameters.what.topValues.map(({ value }) => value).sort(), ["hands", "up"]);
  const options = await agents.getAnalyticsFilterOptions({ filter });
  assert.ok(options.agents.some(({ id }) => id === mark));
  assert.ok(options.principals.length >= 1);
  const prompts = await agents.getPromptSizeAnalytics({ filter });
  assert.ok(prompts.summary.totalStartCalls >= 3);
  const principals = await agents.getTopPrincipalsAnalytics({ filter });
  assert.deepEqual([principals.totalRuns, principals.principals[0].runCount], [4, 4]);
  const distribution = await agents.getRunsByAgentAnalytics({ filter });
  assert.deepEqual(distribution.agents.map(({ agentId, runCount, percentage }) => [agentId, runCount, percentage]), [[mark, 4, 100]]);
  const first = await agents.getTimeToFirstResponseAnalytics({ filter, resolution: "minute" });
  assert.ok(first.summary.runCount >= 3);
  const behaviour = (await agents.getFirstResponseBehaviorAnalytics({ filter })).summary;
  assert.ok(behaviour.runsWithOtherTools >= 2 && behaviour.runsWithNoTools >= 1);

  // Without a question, and about nothing.
  for (const name of [
    "getAnalyticsSummary", "getTokenUsageAnalytics", "getLlmLatencyAnalytics", "getToolLatencyAnalytics", "getAgentLatencyAnalytics",
    "getErrorAnalytics", "getToolAnalytics", "getAnalyticsFilterOptions", "getPromptSizeAnalytics", "getTopPrincipalsAnalytics",
    "getRunsByAgentAnalytics", "getTimeToFirstResponseAnalytics", "getFirstResponseBehaviorAnalytics",
  ]) {
    await agents[name]();
    await agents[name]({ filter: { agents: ["nobody"] }, from: "2020-01-01T00:00:00Z", to: Date.now() });
    await assert.rejects(agents[name]({ from: "soon" }), { status: 400 }, name);
    await assert.rejects(agents[name]({ surprise: 1 }), { status: 400 }, name);
  }
  await assert.rejects(agents.getToolParameterAnalytics({}), { status: 400 });
});

test("what is known outlives the server", async () => {
  const { id } = await start("obedient", "both worlds");
  await ended(id);
  const before = [await agents.getInternals(id), await agents.getRunDetails(id, { includeHistory: true, hydratePayloads: true })];
  await restartServer("stop");
  assert.deepEqual([await agents.getInternals(id), await agents.getRunDetails(id, { includeHistory: true, hydratePayloads: true })], before);
});
