// Messages and their stream (section 3 of the protocol), with a good network and a bad one.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { isRetired, sse } from "./sse.mjs";
import { random, startProxy } from "../shared/proxy.mjs";
import { agents, answers, apiUrl, assertHeardAll, authToken, call, clientOf, converse, ended, eventually } from "./perdure.mjs";
import { folder, follow, idle, kinds, open, projectId, restartServer, start, Type } from "./perdure.mjs";

const types = (messages, ...wanted) => messages.filter(({ type }) => wanted.includes(type));
const isStream = ({ path }) => path.includes("/stream");
const chunks = (heard) => types(heard.messages, Type.STREAMING_CHUNK);

/** A client whose streams are cut after as many bytes as `cut()` says. What it is answered need not be the server's. */
async function behind(cut) {
  const proxy = await startProxy();
  proxy.cut = cut;
  return { proxy, by: clientOf(authToken, proxy.url, { fetch }).agents };
}

test("a run from its start to its end: chunks, then the whole", async () => {
  const { id } = await start("obedient", "until heard");
  const heard = follow(id);
  await eventually(() => chunks(heard).length > 3, "it is heard as it is written");
  open("heard");
  assert.equal(await heard.end, null);
  await assertHeardAll(heard, id);
  const [answer] = answers(heard.stored);
  assert.equal(answer, answer.match(/w\d+ /g).map((_, number) => `w${number} `).join(""));
  assert.equal(heard.stored.at(-1).type, Type.COMPLETE);
  const stored = types(heard.stored, Type.ANSWER)[0];
  for (const { details } of chunks(heard)) {
    assert.equal(details.activity_id, stored.details.activity_id, "the whole takes the chunks' place");
    assert.equal(details.streaming_id, stored.details.streaming_id);
  }
  const ends = chunks(heard).map(({ details }) => details.is_final);
  assert.ok(!ends.slice(0, -1).includes(true));
  // The last chunks are not told where the whole comes with them.
  assert.ok(answer.includes(chunks(heard).map(({ message }) => message).join("")));
  for (const message of heard.stored) {
    assert.deepEqual([message.workflow_run_id, message.workstream_id], [id, "main"]);
    assert.ok(Number.isInteger(message.timestamp));
  }
});

describe("a good network", { concurrency: true }, () => {
  test("tools tell how they go", async () => {
    const { id } = await start("obedient", "both sides");
    const heard = follow(id);
    await heard.end;
    await assertHeardAll(heard, id);
    const told = types(heard.stored, Type.THOUGHT).filter(({ details }) => details.tool);
    for (const [tool, result] of [["look", "saw sides"], ["count", "5"]]) {
      const [began, done, ...more] = told.filter(({ details }) => details.tool === tool).map(({ details }) => details);
      assert.deepEqual(more, []);
      assert.deepEqual([began.tool_event, began.tool_status, began.event_class], ["started", "running", "activity"]);
      assert.deepEqual([done.tool_event, done.tool_status, done.observation], ["completed", "completed", result]);
      assert.equal(began.tool_run_id, done.tool_run_id);
      assert.ok(done.duration_ms >= 0);
    }
    assert.deepEqual(answers(heard.stored), ["I will both.", "look: saw sides; count: 5"]);
  });

  test("who comes late hears all, once", async () => {
    const { id } = await start("obedient", `wait late-${process.pid}`);
    const first = follow(id);
    await first.until(({ details }) => details?.tool_event === "started", "the tool is called");
    const late = follow(id);
    await late.until(({ details }) => details?.tool_event === "started", "who comes late knows, too");
    open(`late-${process.pid}`);
    await Promise.all([first.end, late.end]);
    await assertHeardAll(first, id);
    await assertHeardAll(late, id);
    const since = first.stored[1].timestamp;
    const rest = follow(id, { since });
    await rest.end;
    await assertHeardAll(rest, id, since);
    assert.equal(rest.stored.length, first.stored.length - 2);
  });

  test("a run that has ended: without a stream when its messages say so, else the last one comes again", async () => {
    const { id } = await start("obedient", "hello");
    await ended(id);
    const { proxy, by } = await behind(() => Infinity);
    const all = follow(id, { by });
    await all.end;
    await assertHeardAll(all, id);
    assert.ok(!proxy.seen.some(isStream));
    const last = all.stored.at(-1).timestamp;
    const nothing = follow(id, { by, since: last });
    await nothing.end;
    assert.equal(proxy.seen.filter(isStream).length, 1);
    assert.deepEqual(kinds(nothing.messages), ["COMPLETE"], "the end is told to who has heard it");
    const future = follow(id, { by, since: Date.now() + 3_600_000 });
    await future.end;
    assert.equal(proxy.seen.filter(isStream).length, 2);
    proxy.close();
  });

  test("a run that fails: an error, then the end that stops clients", async () => {
    const { id } = await start("obedient", "fail");
    const heard = follow(id);
    await heard.end;
    await assertHeardAll(heard, id);
    assert.deepEqual(kinds(heard.stored).slice(-2), ["ERROR", "TERMINATED"]);
    assert.match(types(heard.stored, Type.ERROR)[0].message, /told to fail/);
    assert.equal((await ended(id)).status, "failed");
  });

  test("a run that is terminated while it is followed", async () => {
    const { id } = await start("obedient", "wait forever");
    const heard = follow(id);
    await heard.until(({ details }) => details?.tool_event === "started", "it works");
    await agents.terminate(id, "Enough of this");
    await heard.end;
    await ended(id);
    await assertHeardAll(heard, id);
    assert.equal(heard.stored.at(-1).type, Type.TERMINATED);
    assert.match(heard.stored.at(-1).message, /Enough of this/);
  });

  test("a client that stops following, before and in the middle", async () => {
    const { id } = await start("obedient", `wait stop-${process.pid}`);
    const heard = follow(id);
    await heard.until(({ details }) => details?.tool_event === "started", "it works");
    heard.stop();
    await heard.end;
    const controller = new AbortController();
    controller.abort();
    assert.equal(await agents.streamMessages(id, assert.fail, undefined, controller.signal), null);
    open(`stop-${process.pid}`);
    assert.equal((await ended(id)).status, "completed");
  });

  test("messages of every type that clients post, for who follows and who asks", async () => {
    const { id } = await start("obedient", `wait post-${process.pid}`);
    const heard = follow(id);
    await heard.until(({ details }) => details?.tool_event === "started", "it works");
    const quiet = [Type.COMPLETE, Type.TERMINATED, Type.STREAMING_CHUNK];
    const posted = Array.from({ length: 15 }, (_, type) => type).filter((type) => !quiet.includes(type));
    for (const type of posted) {
      assert.deepEqual(await agents.postMessage(id, { type, message: `m${type}`, details: { number: type } }), { success: true });
    }
    await agents.postMessage(id, { message: "by default an update" });
    await agents.postMessage(id, { type: Type.COMPLETE, message: "a part of it", workstream_id: "part" });
    await agents.postMessage(id, { type: Type.COMPLETE, message: "a child's", details: { process_run_id: "child" } });
    await agents.postMessage(id, { type: Type.STREAMING_CHUNK, message: "live" });
    await eventually(() => chunks(heard).some(({ message }) => message === "live"), "the chunk is heard");
    assert.ok(!heard.done, "these do not end it");
    open(`post-${process.pid}`);
    await heard.end;
    await assertHeardAll(heard, id);
    const own = heard.stored.filter(({ message }) => /^m\d+$/.test(message));
    assert.deepEqual(own.map(({ type }) => type), posted);
    assert.deepEqual(own.map(({ details }) => details.number), posted);
    assert.equal(heard.stored.find(({ message }) => /default/.test(message)).type, Type.UPDATE);
    assert.equal(heard.stored.find(({ message }) => message === "a part of it").workstream_id, "part");
    for (const wrong of [{ type: 15 }, { type: "SYSTEM" }, { surprise: 1 }, { message: 7 }]) {
      await assert.rejects(agents.postMessage(id, wrong), { status: 400 }, JSON.stringify(wrong));
    }
  });

  test("what `since` and `skipHistory` mean, and that both ways to bring a key work", async () => {
    const { id } = await start("obedient", `wait raw-${process.pid}`);
    const stored = async () => (await call("GET", `/api/v1/agents/${id}/updates`)).messages;
    await eventually(async () => (await stored()).some(({ d }) => d?.tool_event === "started"), "it works");
    const before = await stored();
    const at = before[0].ts;
    const streams = {
      "": (all) => all,
      [`?since=${at}`]: (all) => all.filter(({ ts }) => ts > at),
      [`?since=${at}&skipHistory=true`]: (all) => all.filter(({ ts }) => ts > at),
      "?skipHistory=true": (all) => all.slice(before.length),
      [`?skipHistory=1&access_token=${authToken}`]: (all) => all.slice(before.length),
      [`?since=0&access_token=${authToken}`]: (all) => all,
    };
    const readers = Object.keys(streams).map((query) => sse(`/api/v1/agents/${id}/stream${query}`, !query.includes("token")));
    await Promise.all(readers.map((reader) => reader.opened));
    open(`raw-${process.pid}`);
    await Promise.all(readers.map((reader) => reader.end));
    const all = await stored();
    Object.values(streams).forEach((wanted, index) => {
      const told = readers[index].data.filter(({ t }) => t !== Type.STREAMING_CHUNK);
      assert.deepEqual(told, wanted(all), Object.keys(streams)[index]);
    });
    for (const [query, status] of [["?since=soon", 400], ["?surprise=1", 400], ["?access_token=nonsense", 401]]) {
      const headers = query.includes("token") ? {} : { authorization: `Bearer ${authToken}` };
      assert.equal((await fetch(`${apiUrl}/api/v1/agents/${id}/stream${query}`, { headers })).status, status, query);
    }
    assert.equal((await fetch(`${apiUrl}/api/v1/agents/${id}?access_token=${authToken}`)).status, 401, "only for streams");
  });

  test("the same run in both dialects at once", async () => {
    const { id } = await start("obedient", "both dialects");
    const heard = follow(id);
    const other = sse(`/runs/${id}/stream`, true);
    await Promise.all([heard.end, other.end]);
    await assertHeardAll(heard, id);
    const texts = new Map();
    for (const { type, messageId, delta } of other.data) {
      if (type === "TEXT_MESSAGE_CONTENT") texts.set(messageId, (texts.get(messageId) ?? "") + delta);
    }
    const live = [...texts].filter(([name]) => !isRetired(other.data, name)).map(([, text]) => text);
    assert.deepEqual(answers(heard.stored), live);
    assert.equal(other.events.at(-1), "RunFinished");
    const run = await call("GET", `/runs/${id}`);
    assert.deepEqual([run.status, (await agents.retrieve(id)).status], ["completed", "completed"]);
  });
});

test("runs that were started or ended in the other dialect", async () => {
  const made = await call("POST", "/runs", {
    kind: "agent",
    owner: { kind: "project", id: projectId },
    request: {
      mode: "agent",
      agent_id: "obedient",
      input: { messages: [{ role: "user", content: "look here" }], context: { project_id: null, branch_id: null } },
    },
  });
  const heard = follow(made.run.run_id);
  await heard.end;
  await assertHeardAll(heard, made.run.run_id);
  assert.equal(answers(heard.stored).at(-1), "look: saw here");
  const run = await ended(made.run.run_id);
  assert.deepEqual([run.interaction, run.status, run.interactive], ["obedient", "completed", false]);

  const chat = await converse("obedient", "hello");
  const chatting = follow(chat.id);
  await chatting.until(({ type }) => type === Type.IDLE, "the turn ends");
  assert.equal((await call("GET", `/runs/${chat.id}`)).status, "waiting");
  await call("POST", `/runs/${chat.id}/cancel`, {});
  await chatting.end;
  assert.equal(chatting.stored.at(-1).type, Type.TERMINATED);
  assert.equal((await ended(chat.id)).status, "cancelled");
});

describe("a bad network", { concurrency: true }, () => {
  for (const seed of [1, 2, 3]) {
    test(`streams that are cut anywhere, ${seed}`, async () => {
      const next = random(seed);
      const cuts = [0, Math.floor(next() * 900), Infinity];
      const { proxy, by } = await behind(() => cuts.shift() ?? Infinity);
      const { id } = await converse("obedient", "slow 60");
      const heard = follow(id, { by });
      await idle(id);
      await agents.sendSignal(id, "UserInput", { message: "look again" });
      await eventually(() => heard.stored.filter(({ type }) => type === Type.IDLE).length === 2, "both turns are heard");
      await agents.terminate(id);
      await heard.end;
      await ended(id);
      await assertHeardAll(heard, id);
      assert.ok(proxy.seen.filter(isStream).length >= 2);
      proxy.close();
    });
  }

  test("what happens while a client is away is told when it comes back", async () => {
    const { proxy, by } = await behind(() => 1);
    const { id } = await start("obedient", "hello");
    const heard = follow(id, { by });
    await ended(id);
    proxy.cut = () => Infinity;
    await heard.end;
    await assertHeardAll(heard, id);
    proxy.close();
  });

  test("a history that cannot be had, and streams that are refused", async () => {
    const { proxy, by } = await behind(() => Infinity);
    const fates = { updates: [500], stream: [503, 401] };
    proxy.fate = ({ path }) => fates[/updates|stream/.exec(path)?.[0]]?.shift() ?? "pass";
    const { id } = await start("obedient", `wait refused-${process.pid}`);
    const heard = follow(id, { by });
    await eventually(() => proxy.seen.filter(isStream).length === 3, "it comes back");
    open(`refused-${process.pid}`);
    await heard.end;
    assert.equal(heard.stored.at(-1).type, Type.COMPLETE);
    proxy.close();
  });
});

describe("the server goes away", () => {
  for (const how of ["kill", "stop"]) {
    test(`and comes back: ${how === "kill" ? "kill -9" : "SIGTERM"}`, async () => {
      const done = await start("obedient", "both things");
      await ended(done.id);
      const before = await agents.retrieveMessages(done.id);
      const { id } = await start("obedient", `wait ${how}-gate`);
      const chat = await converse("obedient", "hello");
      const [heard, chatting] = [follow(id), follow(chat.id)];
      await heard.until(({ details }) => details?.tool_event === "started", "it works");
      await chatting.until(({ type }) => type === Type.IDLE, "the turn ends");
      await restartServer(how);
      await agents.sendSignal(chat.id, "UserInput", { message: "still there?" });
      open(`${how}-gate`);
      await heard.end;
      await assertHeardAll(heard, id);
      assert.deepEqual(answers(heard.stored), ["I will wait.", `gate: through ${how}-gate`]);
      assert.equal((await ended(id)).status, "completed");
      await eventually(() => answers(chatting.stored).length === 2, "the next turn is heard");
      assert.equal(answers(chatting.stored)[1], "You said: still there?");
      await agents.terminate(chat.id);
      await chatting.end;
      await assertHeardAll(chatting, chat.id);
      assert.deepEqual(await agents.retrieveMessages(done.id), before, "what was said is the same, to the millisecond");
    });
  }

  test("no key and no token is in a log", () => {
    for (const name of readdirSync(folder).filter((name) => name.endsWith(".log"))) {
      assert.ok(!readFileSync(join(folder, name), "utf8").includes(authToken), name);
    }
  });
});
