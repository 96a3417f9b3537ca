// Runs that go on turn by turn, signals and queries (sections 3.7 and 4 of the protocol).
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { agents, answers, assertHeardAll, call, converse, ended, eventually, follow, idle, kinds, open } from "./perdure.mjs";
import { projectId, runWhen, start, Type } from "./perdure.mjs";

const say = (id, message, more = {}) => agents.sendSignal(id, "UserInput", { message, ...more });
const of = (messages, type) => messages.filter((message) => message.type === type);
const isStarted = ({ details }) => details?.tool_event === "started";
const turns = (heard, count) => eventually(() => of(heard.stored, Type.IDLE).length === count, `${count} turns`);

describe("turns", { concurrency: true }, () => {
  test("several turns, then the user ends it", async () => {
    const { id, status, interactive } = await converse("obedient", "hello");
    assert.deepEqual([status, interactive], ["running", true]);
    const heard = follow(id);
    await turns(heard, 1);
    const waits = await idle(id);
    assert.deepEqual([waits.status, waits.completed_at], ["running", undefined]);
    assert.deepEqual(await say(id, "look around", { client_message_id: "m-1" }), { status: "ok", message: "Signal UserInput was taken." });
    await turns(heard, 2);
    await say(id, "history");
    await turns(heard, 3);
    assert.ok(!heard.done, "a turn's end is not the run's");
    await agents.terminate(id);
    await heard.end;
    await assertHeardAll(heard, id);
    assert.deepEqual(answers(heard.stored), [
      "You said: hello", "I will look.", "look: saw around", '["hello", "look around", "history"]',
    ]);
    const [echo] = of(heard.stored, Type.QUESTION);
    assert.equal(echo.message, "look around");
    assert.equal(echo.details.ack, "m-1");
    assert.equal(echo.details.event_class, "user_content");
    assert.deepEqual(kinds(heard.stored).filter((kind) => !["THOUGHT", "ANSWER"].includes(kind)), [
      "IDLE", "QUESTION", "IDLE", "QUESTION", "IDLE", "TERMINATED",
    ]);
  });

  test("a client that follows one turn: closeOnIdle", async () => {
    const { id } = await converse("obedient", "hello");
    const first = follow(id, { closeOnIdle: true });
    assert.equal(await first.end, null);
    assert.equal(first.stored.at(-1).type, Type.IDLE);
    const since = first.stored.at(-1).timestamp;
    await say(id, "slow 20");
    const second = follow(id, { since, closeOnIdle: true });
    await second.end;
    assert.equal(answers(second.stored).length, 1);
    assert.equal(second.stored.at(-1).type, Type.IDLE);
    await assertHeardAll(second, id, since);
    await agents.terminate(id);
  });

  test("what is said while a turn runs is taken up in its order, turn by turn", async () => {
    const { id } = await converse("obedient", `wait queue-${process.pid}`);
    const heard = follow(id);
    await heard.until(isStarted, "the turn runs");
    for (const message of ["one", "two", "three"]) await say(id, message);
    assert.equal((await agents.retrieve(id)).activity_state, "working");
    open(`queue-${process.pid}`);
    await eventually(() => answers(heard.stored).length === 5, "all turns");
    await idle(id);
    await agents.terminate(id);
    await heard.end;
    await assertHeardAll(heard, id);
    assert.deepEqual(answers(heard.stored).slice(2), ["You said: one", "You said: two", "You said: three"]);
    assert.deepEqual(of(heard.stored, Type.QUESTION).map(({ message }) => message), ["one", "two", "three"]);
  });

  test("Stop ends the turn and only the turn", async () => {
    const { id } = await converse("obedient", "until never");
    const heard = follow(id);
    await eventually(() => heard.messages.length > 2, "it speaks");
    await agents.sendSignal(id, "Stop", { message: "Too long", client_message_id: "stop-1" });
    await heard.until(({ type }) => type === Type.IDLE, "the turn ends");
    const [stopped] = of(heard.stored, Type.IDLE);
    assert.match(stopped.message, /^Stopped\./);
    assert.deepEqual([stopped.details.ack, stopped.details.status_reason], ["stop-1", "user_stopped"]);
    assert.equal((await idle(id)).status, "running");
    await say(id, "hello");
    await turns(heard, 2);
    assert.equal(answers(heard.stored).at(-1), "You said: hello");
    await agents.sendSignal(id, "Stop");
    assert.equal((await idle(id)).status, "running", "to stop nothing is no error");
    await agents.terminate(id);
    await heard.end;
    await assertHeardAll(heard, id);
  });

  test("a run that was just made takes signals at once", async () => {
    const { id } = await converse("obedient");
    await Promise.all(["a", "b"].map((message) => say(id, message)));
    await eventually(async () => answers(await agents.retrieveMessages(id)).length === 2, "both are answered");
    await agents.terminate(id);
    await ended(id);
    await assert.rejects(say(id, "too late"), { status: 409 });
    await assert.rejects(agents.sendSignal(id, "Stop"), { status: 409 });
  });

  test("an approval is asked for, and given by the user's next words", async () => {
    const { id } = await converse("obedient", "send a letter");
    const heard = follow(id);
    await heard.until(({ type }) => type === Type.REQUEST_INPUT, "the question");
    const [asked] = of(heard.stored, Type.REQUEST_INPUT);
    assert.deepEqual(asked.details.ux.options.map((option) => option.id), ["approve", "deny"]);
    await say(id, "approve", { metadata: { request_input_response: { request_id: asked.details.request_id } } });
    await turns(heard, 1);
    assert.equal(answers(heard.stored).at(-1), "send: sent a letter");
    await agents.terminate(id);
    await heard.end;
    await assertHeardAll(heard, id);
  });
});

describe("restarts and forks", { concurrency: true }, () => {
  test("a restart keeps what was said, and goes on with what the user says next", async () => {
    const { id } = await start("obedient", "hello");
    const before = follow(id);
    await before.end;
    const since = before.stored.at(-1).timestamp;
    const run = await agents.restart(id);
    assert.equal(run.status, "running");
    const now = await agents.retrieveMessages(id);
    const [restarted, ...more] = now.filter(({ timestamp }) => timestamp > since);
    assert.equal(restarted.type, Type.RESTARTING);
    assert.ok(more.every(({ type }) => type === Type.IDLE), "or who follows would stop at once");
    const heard = follow(id, { since });
    await say(id, "history");
    await eventually(() => answers(heard.stored).length === 1, "the next turn");
    assert.deepEqual(answers(heard.stored), ['["hello", "history"]']);
    await agents.terminate(id);
    await heard.end;
    await assertHeardAll(heard, id, since);
    const whole = follow(id);
    await whole.end;
    await assertHeardAll(whole, id);
    assert.deepEqual(whole.stored.slice(0, before.stored.length), before.stored);
  });

  test("a turn that had not ended goes on after a restart", async () => {
    const name = `cancelled-${process.pid}`;
    const { id } = await start("obedient", `wait ${name}`);
    const first = follow(id);
    await first.until(isStarted, "it works");
    await agents.terminate(id);
    await first.end;
    await ended(id);
    open(name);
    await agents.restart(id);
    const second = follow(id, { since: first.stored.at(-1).timestamp });
    await second.until(({ type }) => [Type.IDLE, Type.COMPLETE].includes(type), "the turn ends");
    assert.match(answers(second.stored).at(-1), new RegExp(`through ${name}`));
    await agents.terminate(id);
    await second.end;
  });

  test("who follows while the run fails and is restarted hears all of it", async () => {
    const { id } = await converse("obedient", "hello");
    const heard = follow(id);
    await turns(heard, 1);
    await say(id, "fail");
    await heard.end; // the end of a run ends its streams
    assert.deepEqual(kinds(heard.stored).slice(-2), ["ERROR", "TERMINATED"]);
    const restarts = agents.restart(id);
    const again = follow(id, { since: heard.stored.at(-1).timestamp });
    await restarts;
    await eventually(async () => (await agents.retrieve(id)).status !== "running" || of(again.stored, Type.IDLE).length, "it stands");
    await agents.terminate(id);
    await again.end;
    await ended(id);
    const all = await agents.retrieveMessages(id);
    assert.deepEqual(new Set(all.map(({ timestamp }) => timestamp)).size, all.length);
  });

  test("a fork begins with the source's messages, and the two go on apart", async () => {
    const { id: source } = await converse("obedient", "hello");
    const heard = follow(source);
    await turns(heard, 1);
    const before = await agents.retrieveMessages(source);
    const { id: fork } = await agents.fork(source);
    const forked = await agents.retrieveMessages(fork);
    const bare = (messages) => messages.map(({ workflow_run_id, ...message }) => message);
    assert.deepEqual(bare(forked).slice(0, before.length), bare(before));
    assert.equal(forked[before.length].type, Type.RESTARTING);
    const branch = follow(fork);
    await say(fork, "history");
    await say(source, "look up");
    await turns(heard, 2);
    await eventually(() => answers(branch.stored).includes('["hello", "history"]'), "the fork answers");
    assert.ok(!answers(branch.stored).includes("look: saw up"));
    assert.ok(!answers(heard.stored).some((text) => text.includes("history")));
    await agents.terminate(fork);
    await branch.end;
    assert.ok(!heard.done);
    await agents.terminate(source);
    await heard.end;
    await assertHeardAll(heard, source);
    await assertHeardAll(branch, fork);
  });

  test("a fork in the middle of a turn goes on with it", async () => {
    const name = `fork-${process.pid}`;
    const { id: source } = await start("obedient", `wait ${name}`);
    const heard = follow(source);
    await heard.until(isStarted, "it works");
    const { id: fork } = await agents.fork(source);
    const branch = follow(fork);
    open(name);
    await heard.end;
    assert.equal((await ended(source)).status, "completed");
    await branch.until(({ type }) => [Type.IDLE, Type.COMPLETE].includes(type), "the fork's turn ends");
    assert.match(answers(branch.stored).at(-1), new RegExp(`through ${name}`));
    await agents.terminate(fork);
    await branch.end;
  });
});

describe("signals and queries", { concurrency: true }, () => {
  test("files: uploaded, taken back, and one word of a batch when it is settled", async () => {
    const { id } = await converse("obedient");
    const heard = follow(id);
    await idle(id);
    const file = (name) => ({
      id: name, name, content_type: "text/plain", reference: `artifact:files/${name}`, artifact_path: `files/${name}`,
    });
    await agents.uploadArtifact(id, "files/a.txt", "A", "text/plain");
    await agents.sendSignal(id, "FileUploaded", file("a.txt"));
    await agents.sendSignal(id, "FileUploaded", file("b.txt"));
    await agents.sendSignal(id, "FileRemoved", { id: "b.txt" });
    const batch = { batch_id: "batch-1", file_ids: ["a.txt"], failed_uploads: [{ name: "c.txt", error: "too large" }] };
    for (let again = 0; again < 3; again += 1) await agents.sendSignal(id, "FileBatchClosed", batch);
    await eventually(() => answers(heard.stored).length === 1, "the batch is told");
    assert.match(answers(heard.stored)[0], /\[Files Ready\]/);
    assert.match(answers(heard.stored)[0], /a\.txt/);
    const told = of(heard.stored, Type.SYSTEM).map(({ details }) => details);
    assert.ok(told.every(({ system_type }) => system_type === "file_processing"));
    const last = told.at(-1).files.find((one) => one.id === "a.txt");
    assert.deepEqual([last.status, last.reference], ["ready", "artifact:files/a.txt"]);
    assert.ok(!told.at(-1).files.some((one) => one.id === "b.txt"));
    assert.ok(told.some(({ error_count }) => error_count === 1));
    // A batch whose files come later is told when they are there.
    await agents.sendSignal(id, "FileBatchClosed", { batch_id: "batch-2", file_ids: ["d.txt"] });
    await idle(id);
    assert.equal(answers(heard.stored).length, 1);
    await agents.sendSignal(id, "FileUploaded", file("d.txt"));
    await eventually(() => answers(heard.stored).length === 2, "the second batch is told");
    await agents.terminate(id);
    await heard.end;
    await assertHeardAll(heard, id);
  });

  test("what may be changed of a run is kept, and shown", async () => {
    const { id } = await converse("obedient", "hello", { disabled_mcp_collections: ["a"] });
    await agents.sendSignal(id, "ModelConfigChanged", { model: "better", effort: "high" });
    const changed = await agents.retrieve(id);
    assert.equal(changed.config.model, "better");
    await agents.sendSignal(id, "ModelConfigChanged", { effort: null });
    assert.equal((await agents.retrieve(id)).config.model, "better");
    await agents.sendSignal(id, "McpConfigChanged", { disabled_mcp_collections: ["b", "c"] });
    assert.deepEqual((await agents.retrieve(id)).disabled_mcp_collections, ["b", "c"]);
    await agents.sendSignal(id, "McpConfigChanged", {});
    assert.deepEqual((await agents.retrieve(id)).disabled_mcp_collections, ["b", "c"]);
    for (const mode of ["full_control", "auto_review", "ask"]) {
      await agents.sendSignal(id, "ToolApprovalModeChanged", { mode });
      assert.equal((await agents.retrieve(id)).tool_approval_mode, mode);
    }
    for (const [name, payload] of [
      ["ToolApprovalModeChanged", { mode: "never" }], ["ModelConfigChanged", { effort: "endless" }], ["UserInput", {}],
      ["McpConfigChanged", { disabled_mcp_collections: "all" }], ["FileUploaded", {}], ["FileBatchClosed", {}],
    ]) {
      await assert.rejects(agents.sendSignal(id, name, payload), { status: 400 }, name);
    }
    await agents.sendSignal(id, "TriggerCheckpoint", { reason: "long enough" });
    await agents.sendSignal(id, "TriggerCheckpoint");
    await agents.sendSignal(id, "SomethingOfOurs", { deep: { a: 1 } });
    const events = (await call("GET", `/runs/${id}/events?after_event_id=0&limit=500`)).data.map(({ payload }) => payload);
    const own = events.filter(({ name, value }) => name === "perdure.signal" && value.name === "SomethingOfOurs");
    assert.deepEqual(own.map(({ value }) => value.payload), [{ deep: { a: 1 } }]);
    await agents.terminate(id);
  });

  test("full control: what would be asked is done", async () => {
    const { id } = await converse("obedient", undefined, { tool_approval_mode: "ask" });
    await agents.sendSignal(id, "ToolApprovalModeChanged", { mode: "full_control" });
    await say(id, "send a card");
    await eventually(async () => answers(await agents.retrieveMessages(id)).at(-1) === "send: sent a card", "it is sent");
    await agents.terminate(id);
  });

  test("queries: what the agent publishes, its plan, its tools", async () => {
    const name = `plan-${process.pid}`;
    const { id } = await start("planner", name);
    const heard = follow(id);
    await heard.until(({ type }) => type === Type.WARNING, "all is published");
    const plan = await agents.query(id, "AgentPlan");
    assert.deepEqual(plan.plan.map(({ goal, status }) => [goal, status]), [["look", "completed"], ["act", "pending"]]);
    assert.equal(plan.comment, "Two steps");
    assert.deepEqual(await agents.query(id, "weather"), { told: name, degrees: [1, 2.5] });
    await assert.rejects(agents.query(id, "nothing"), { status: 404 });
    const [told] = of(heard.stored, Type.PLAN);
    assert.deepEqual(told.details.plan, plan.plan);
    assert.equal(of(heard.stored, Type.WARNING)[0].message, "beware");
    const [progress] = of(heard.stored, Type.UPDATE);
    assert.deepEqual([progress.message, progress.details.done, progress.details.total], ["half of it", 1, 2]);
    open(name);
    await heard.end;
    await assertHeardAll(heard, id);
    assert.equal(await agents.query(id, "weather"), null, "the newest value, also after the end");

    const { id: other } = await converse("obedient", "hello");
    await idle(other);
    assert.deepEqual(await agents.query(other, "AgentPlan"), { plan: [] });
    const tools = await agents.query(other, "AvailableTools");
    assert.deepEqual(tools.map((tool) => tool.name ?? tool).sort(), ["broken", "count", "gate", "look", "send"]);
    await agents.terminate(other);
  });

  test("workstreams are the runs that a run started", async () => {
    const { id } = await converse("obedient", "hello");
    assert.deepEqual(await agents.getActiveWorkstreams(id), { running: [], completed: [] });
    const name = `child-${process.pid}`;
    const child = async (task) => {
      const made = await call("POST", "/runs", {
        kind: "agent",
        owner: { kind: "project", id: projectId },
        parent_run_id: id,
        request: {
          mode: "agent",
          agent_id: "obedient",
          input: { messages: [{ role: "user", content: task }], context: { project_id: null, branch_id: null } },
        },
      });
      return made.run.run_id;
    };
    const [slow, quick] = [await child(`wait ${name}`), await child("hello")];
    await ended(quick);
    const streams = await agents.getActiveWorkstreams(id);
    assert.deepEqual(streams.running.map(({ launch_id, status }) => [launch_id, status]), [[slow, "running"]]);
    assert.deepEqual(streams.completed.map(({ launch_id, status }) => [launch_id, status]), [[quick, "completed"]]);
    assert.deepEqual(await agents.query(id, "ActiveWorkstreams").then(({ running }) => running.length), 1);
    open(name);
    await ended(slow);
    assert.deepEqual((await agents.getActiveWorkstreams(id)).running, []);
    await agents.terminate(id);
  });
});
