// Who may do what, with which sort of key (section 7), and that all of the client is driven by these tests.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { describe, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { VertesiaClient } from "@vertesia/client";
import { startProxy } from "../shared/proxy.mjs";
import { agents, apiUrl, assertHeardAll, call, clientOf, converse, ended, eventually, follow, open, start } from "./perdure.mjs";

/** A new key, and what it is called by. */
const newKey = (more = {}) => call("POST", "/keys", { name: "a test's", ...more });

describe("keys", { concurrency: true }, () => {
  test("a key that begins with sk- is exchanged once, for all that the client does", async () => {
    const { key } = await newKey({ kind: "sk" });
    assert.match(key, /^sk-/);
    const proxy = await startProxy();
    const client = clientOf(key, proxy.url);
    const { id } = await client.agents.start({ interaction: "obedient", interactive: false, data: { task: "slow 10" } });
    const heard = follow(id, { by: client.agents });
    await heard.end;
    await assertHeardAll(heard, id);
    await client.agents.uploadArtifact(id, "out/a.txt", "a", "text/plain");
    assert.equal((await client.agents.getArtifactContent(id, "out/a.txt")).content, "a");
    await client.agents.streamRunDetails(id, () => {});
    assert.equal(proxy.seen.filter(({ path }) => path.startsWith("/sts/")).length, 1);
    assert.match((await client.agents.retrieve(id)).started_by, /^apikey:/);
    const { exp, iat } = await client.getDecodedJWT();
    assert.ok(exp * 1000 > Date.now() + 120_000 && iat <= exp);
    proxy.close();

    const token = await client.getRawJWT();
    const endpoints = { studio: apiUrl, store: apiUrl, token: `${apiUrl}/sts` };
    const again = await VertesiaClient.fromAuthToken(token, undefined, endpoints);
    assert.equal((await again.agents.retrieve(id)).id, id);
    const refreshed = await fetch(`${apiUrl}/sts/token/refresh`, { method: "POST", body: JSON.stringify({ token }) });
    assert.equal(refreshed.status, 200);
    assert.equal((await clientOf((await refreshed.json()).token).agents.retrieve(id)).id, id);
  });

  test("the exchange is tried again while the server is away for a moment", async () => {
    const { key } = await newKey({ kind: "sk" });
    const proxy = await startProxy();
    const fates = [503, 503];
    proxy.fate = ({ path }) => (path.startsWith("/sts/") ? (fates.shift() ?? "pass") : "pass");
    await clientOf(key, proxy.url, { fetch }).agents.list();
    assert.equal(proxy.seen.filter(({ path }) => path.startsWith("/sts/")).length, 3);
    proxy.close();
  });

  test("keys that open nothing", async () => {
    const { key, id } = await newKey({ kind: "sk" });
    const client = clientOf(key);
    await client.agents.list();
    await call("DELETE", `/keys/${id}`);
    await assert.rejects(clientOf(key).agents.list(), ({ status }) => [401, 403].includes(status));
    await assert.rejects(client.agents.list(), { status: 401 }, "its tokens end with it");
    await assert.rejects(clientOf(`${key}x`).agents.list(), ({ status }) => [401, 403].includes(status));
    await assert.rejects(clientOf("sk-nonsense").agents.list(), ({ status }) => [401, 403].includes(status));
  });

  test("a key that may only read", async () => {
    const { id } = await start("obedient", "hello");
    await ended(id);
    const reader = clientOf((await newKey({ scopes: ["runs:read"] })).key).agents;
    assert.equal((await reader.retrieve(id)).id, id);
    await reader.list();
    await reader.search();
    await reader.retrieveMessages(id);
    await reader.listArtifacts(id);
    await reader.getRunDetails(id);
    await reader.getAnalyticsSummary();
    await reader.query(id, "AgentPlan");
    const payload = { workflow_id: "w", first_workflow_run_id: "f", interaction: "i" };
    for (const [name, ...more] of [
      ["start", { interaction: "obedient" }], ["terminate", id], ["restart", id], ["fork", id], ["recordRun", payload],
      ["updateStatus", id, { title: "t" }], ["bindWorkflowRun", id, { workflow_id: "w", first_workflow_run_id: "f" }],
      ["sendSignal", id, "UserInput", { message: "m" }], ["postMessage", id, { message: "m" }], ["ingestEvents", id, []],
      ["uploadArtifact", id, "a", "a"], ["updateArtifactContent", id, "a", { content: "", generation: "1" }],
    ]) {
      await assert.rejects(reader[name](...more), { status: 403 }, name);
    }
  });

  test("a private run is there for who started it, and for who may see all", async () => {
    const word = `hush${process.pid}`;
    const [owner, stranger, boss] = await Promise.all([
      newKey({ kind: "sk" }), newKey(), newKey({ scopes: ["runs:read", "runs:write", "runs:private"] }),
    ]).then((made) => made.map(({ key }) => clientOf(key).agents));
    const { id, visibility } = await owner.start({
      interaction: "obedient", visibility: "private", interactive: false, title: word, data: { task: `wait ${word}` },
    });
    assert.equal(visibility, "private");
    const heard = follow(id, { by: owner });
    await heard.until(({ details }) => details?.tool_event === "started", "it works");
    await owner.uploadArtifact(id, "out/secret.txt", "secret", "text/plain");
    const { url } = await owner.getArtifactUrl(id, "out/secret.txt");
    const methods = [
      ["retrieve"], ["getInternals"], ["getRunDetails"], ["listChildren"], ["retrieveMessages"], ["listArtifacts"],
      ["getArtifactUrl", "out/secret.txt"], ["getArtifactContent", "out/secret.txt"], ["query", "AgentPlan"],
    ];
    for (const [name, ...more] of methods) {
      await assert.rejects(stranger[name](id, ...more), { status: 404 }, name);
      await boss[name](id, ...more);
      await owner[name](id, ...more);
    }
    for (const [name, ...more] of [
      ["terminate"], ["restart"], ["fork"], ["updateStatus", { title: "mine" }], ["sendSignal", "UserInput", { message: "m" }],
      ["postMessage", { message: "m" }], ["uploadArtifact", "a", "a"], ["ingestEvents", []],
    ]) {
      await assert.rejects(stranger[name](id, ...more), { status: 404 }, name);
    }
    const { key: other } = await newKey();
    const stream = await fetch(`${apiUrl}/api/v1/agents/${id}/stream?access_token=${other}`);
    assert.equal(stream.status, 404);
    assert.equal(await (await fetch(url)).text(), "secret", "who has a signed URL may read");
    open(word);
    await heard.end;
    await ended(id);
    await eventually(async () => (await owner.search({ query: word })).total === 1, "it is found");
    assert.equal((await boss.search({ query: word })).total, 1);
    assert.deepEqual(await stranger.search({ query: word }), { hits: [], total: 0 });
    for (const [who, count] of [[owner, 1], [boss, 1], [stranger, 0]]) {
      const page = await who.list({ id });
      assert.deepEqual([page.items.length, page.total_count], [count, count]);
      const { summary } = await who.getAnalyticsSummary({ filter: { agentRunIds: [id] } });
      assert.equal(summary.totalRuns, count);
    }
  });

  test("only who may see all starts runs for others", async () => {
    const payload = { interaction: "obedient", interactive: false, data: { task: "hello" }, started_by: "user:ada" };
    const boss = clientOf((await newKey({ scopes: ["runs:read", "runs:write", "runs:private"] })).key).agents;
    const { id, started_by } = await boss.start(payload);
    assert.equal(started_by, "user:ada");
    assert.deepEqual((await agents.list({ started_by: "user:ada" })).items.map((run) => run.id), [id]);
    await assert.rejects(clientOf((await newKey()).key).agents.start(payload), { status: 403 });
  });

  test("keys of other projects find nothing here", async () => {
    const { id } = await converse("obedient");
    const slug = `other-${process.pid}`;
    await call("POST", "/projects", { name: "Other", slug });
    const { key } = await call("POST", `/projects/${slug}/keys`, { name: "theirs", kind: "sk" });
    const theirs = clientOf(key).agents;
    assert.equal((await theirs.list()).total_count, 0);
    assert.equal((await theirs.search()).total, 0);
    await assert.rejects(theirs.retrieve(id), { status: 404 });
    await assert.rejects(theirs.terminate(id), { status: 404 });
    await agents.terminate(id);
  });
});

test("a connection that rests is not closed before clients close theirs", async () => {
  const { hostname, port } = new URL(apiUrl);
  const socket = connect(Number(port), hostname);
  const answers = [];
  socket.on("data", (bytes) => answers.push(String(bytes)));
  const ask = async (count) => {
    socket.write("GET /livez HTTP/1.1\r\nHost: here\r\n\r\n");
    await eventually(() => answers.filter((text) => text.startsWith("HTTP/1.1 200")).length === count, "an answer", 10);
  };
  await ask(1);
  await setTimeout(6_000);
  await ask(2);
  socket.destroy();
});

/** The methods of `client.agents` that reach nothing. */
const NOT_DRIVEN = ["constructor", "buildListQueryParams"];

test("every method of the client is driven by one of these files", () => {
  const files = readdirSync(".").filter((name) => name.endsWith(".test.mjs"));
  const text = files.map((name) => readFileSync(name, "utf8")).join("\n");
  const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(agents)).filter((name) => !NOT_DRIVEN.includes(name));
  assert.ok(methods.length >= 51, `${methods.length}`);
  const called = new Set([...text.matchAll(/\bagents\.(\w+)\(/g)].map(([, name]) => name));
  assert.deepEqual(methods.filter((name) => !called.has(name)), []);
});
