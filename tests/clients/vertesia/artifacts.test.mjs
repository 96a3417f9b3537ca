// The files of runs (sections 1.4 and 5 of the protocol).
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { before, test } from "node:test";
import { agents, apiUrl, authToken, clientOf, converse, ended, idle, restartServer, start } from "./perdure.mjs";

const headers = { authorization: `Bearer ${authToken}` };
let id;
before(async () => {
  id = (await converse("obedient")).id;
});

const at = (path, run = id) => `agents/${run}/${path}`;

async function bytesOf(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test("upload and download: the same bytes, of any kind and under any name", async () => {
  const files = [
    ["data.csv", "a,b\n1,2\n", "text/csv"],
    ["files/räport & mehr.pdf", randomBytes(300_000), "application/pdf"],
    ["out/deep/er/ein zwei.bin", new Uint8Array([0, 255, 10, 13]), undefined],
    ["out/what?#1+2=3;@:&,.txt", "delimiters", "text/plain"],
    ["out/empty.txt", "", "text/plain"],
    ["out/日本.txt", "日本", "text/plain; charset=utf-8"],
  ];
  for (const [path, content, type] of files) {
    const uploaded = await agents.uploadArtifact(id, path, content, type);
    assert.equal(uploaded.path, at(path));
    const found = await bytesOf(await agents.downloadArtifact(id, path));
    assert.ok(found.equals(Buffer.from(content)), path);
    const plain = await fetch((await agents.getArtifactUrl(id, path, "inline")).url);
    assert.equal(plain.headers.get("content-type"), type ?? "application/octet-stream");
    assert.equal(Number(plain.headers.get("content-length")), Buffer.from(content).length);
    assert.match(plain.headers.get("content-disposition"), /^inline/);
  }
  const listed = await agents.listArtifacts(id);
  assert.deepEqual(listed, files.map(([path]) => at(path)).sort());
});

test("an upload from a stream, and one that takes another's place", async () => {
  const stream = new ReadableStream({
    start(controller) {
      for (const part of ["one ", "two ", "three"]) controller.enqueue(new TextEncoder().encode(part));
      controller.close();
    },
  });
  await agents.uploadArtifact(id, "out/streamed.txt", stream, "text/plain");
  assert.equal((await bytesOf(await agents.downloadArtifact(id, "out/streamed.txt"))).toString(), "one two three");
  const before = await agents.getArtifactContent(id, "out/streamed.txt");
  await agents.uploadArtifact(id, "out/streamed.txt", "four", "text/plain");
  const after = await agents.getArtifactContent(id, "out/streamed.txt");
  assert.equal(after.content, "four");
  assert.notEqual(after.generation, before.generation, "a signed write is a write, too");
});

test("a signed URL names one file and one method, and ends", async () => {
  await agents.uploadArtifact(id, "out/a.txt", "a", "text/plain");
  await agents.uploadArtifact(id, "out/b.txt", "b", "text/plain");
  const { url, path } = await agents.getArtifactUrl(id, "out/a.txt", "attachment", "sold as.txt");
  assert.equal(path, at("out/a.txt"));
  const answer = await fetch(url);
  assert.equal(await answer.text(), "a");
  assert.match(answer.headers.get("content-disposition"), /^attachment;.*sold as\.txt/);
  assert.equal((await fetch(url, { method: "PUT", body: "c" })).status, 403, "it is for reading");
  const token = url.slice(url.lastIndexOf("/") + 1);
  const [text, mac] = token.split(".");
  const said = Buffer.from(text, "base64url").toString();
  const left = JSON.parse(said).find((value) => typeof value === "number") - Date.now();
  assert.ok(left > 0 && left <= 15 * 60_000, "it ends within 15 minutes");
  for (const forged of [
    said.replace("out/a.txt", "out/b.txt"),
    said.replace(/\d{13}/, (end) => String(Number(end) + 3_600_000)),
    said.replace('"GET"', '"PUT"'),
    said.replace(id, (id[0] === "0" ? "1" : "0") + id.slice(1)),
  ]) {
    assert.notEqual(forged, said);
    const answer = await fetch(url.replace(token, `${Buffer.from(forged).toString("base64url")}.${mac}`));
    assert.equal(answer.status, 403, forged);
  }
});

test("one step: a PUT with the bytes stores them", async () => {
  const url = `${apiUrl}/api/v1/agents/${id}/artifacts/out/direct.txt`;
  const put = await fetch(url, { method: "PUT", headers: { ...headers, "content-type": "text/plain" }, body: "direct" });
  const answer = await put.json();
  assert.deepEqual(Object.keys(answer).sort(), ["path", "url"]);
  assert.equal(await (await fetch(answer.url)).text(), "direct");
  const plain = await fetch(url, { headers });
  assert.equal(await plain.text(), "direct");
  const etag = plain.headers.get("etag");
  assert.equal((await fetch(url, { headers: { ...headers, "if-none-match": etag } })).status, 304);
  const part = await fetch(url, { headers: { ...headers, range: "bytes=1-3" } });
  assert.deepEqual([part.status, await part.text()], [206, "ire"]);
});

test("what is the agent's own is shown when it is asked for", async () => {
  const { id: run } = await start("writer", "hello");
  assert.equal((await ended(run)).status, "completed");
  await agents.uploadArtifact(run, "conversation.json", "{}", "application/json");
  const [user, own] = [[at("out/said.txt", run)], [at("conversation.json", run), at("tool-results/notes.json", run)]];
  assert.deepEqual(await agents.listArtifacts(run), user);
  assert.deepEqual(await agents.listArtifacts(run, { visibility: "user" }), user);
  assert.deepEqual(await agents.listArtifacts(run, { visibility: "internal" }), own);
  assert.deepEqual((await agents.listArtifacts(run, { visibility: "all" })).sort(), [...own, ...user].sort());
  assert.equal((await bytesOf(await agents.downloadArtifact(run, "conversation.json"))).toString(), "{}");
  assert.equal((await agents.getArtifactContent(run, "out/said.txt")).content, "hello");
  await assert.rejects(agents.listArtifacts(run, { visibility: "mine" }), { status: 400 });
});

test("a fork has its own copies", async () => {
  const { id: source } = await start("writer", "hello");
  await ended(source);
  const { id: fork } = await agents.fork(source);
  assert.deepEqual(await agents.listArtifacts(fork), [at("out/said.txt", fork)]);
  await agents.uploadArtifact(fork, "out/said.txt", "changed", "text/plain");
  await agents.uploadArtifact(fork, "out/new.txt", "new", "text/plain");
  assert.equal((await agents.getArtifactContent(source, "out/said.txt")).content, "hello");
  assert.deepEqual(await agents.listArtifacts(source), [at("out/said.txt", source)]);
  await agents.terminate(fork);
});

test("an edited text is written back under the generation that was read", async () => {
  await agents.uploadArtifact(id, "out/note.md", "# Ä\n", "text/markdown");
  const read = await agents.getArtifactContent(id, "out/note.md");
  assert.deepEqual([read.path, read.content], ["out/note.md", "# Ä\n"]);
  const [first, second] = await Promise.allSettled(
    ["one", "two"].map((content) => agents.updateArtifactContent(id, "out/note.md", { content, generation: read.generation })),
  );
  const [won, lost] = first.status === "fulfilled" ? [first, second] : [second, first];
  assert.equal(won.status, "fulfilled");
  assert.equal(lost.reason.status, 412);
  const now = await agents.getArtifactContent(id, "out/note.md");
  assert.equal(now.generation, won.value.generation);
  assert.notEqual(now.generation, read.generation);
  await agents.updateArtifactContent(id, "out/note.md", { content: "three", generation: now.generation });
  const download = await fetch((await agents.getArtifactUrl(id, "out/note.md")).url);
  assert.equal(download.headers.get("content-type"), "text/markdown", "the type is kept");
  assert.equal(await download.text(), "three");
});

test("too large to be edited, no text, and nothing there", async () => {
  await agents.uploadArtifact(id, "out/large.txt", "x".repeat(2_000_000), "text/plain");
  await assert.rejects(agents.getArtifactContent(id, "out/large.txt"), { status: 413 });
  const read = await agents.getArtifactContent(id, "out/note.md");
  await assert.rejects(
    agents.updateArtifactContent(id, "out/note.md", { content: "x".repeat(2_000_000), generation: read.generation }),
    { status: 413 },
  );
  assert.deepEqual(await agents.getArtifactContent(id, "out/note.md"), read);
  for (const path of ["out/missing.txt", "out"]) {
    await assert.rejects(agents.getArtifactContent(id, path), { status: 404 });
    await assert.rejects(agents.getArtifactUrl(id, path), { status: 404 });
    await assert.rejects(agents.downloadArtifact(id, path), { status: 404 });
    await assert.rejects(agents.updateArtifactContent(id, path, { content: "", generation: "1" }), ({ status }) =>
      [404, 412].includes(status),
    );
  }
});

test("no path leads out of the run", async () => {
  for (const path of ["%2e%2e/x", "a/%2e%2e/%2e%2e/x", "a%5c..%5cx", "a%00b", "a//b", "%2f%2e%2e%2fx"]) {
    for (const [method, body] of [["GET"], ["PUT", "x"]]) {
      const answer = await fetch(`${apiUrl}/api/v1/agents/${id}/artifacts/${path}`, { method, headers, body });
      assert.ok([400, 404].includes(answer.status), `${method} ${path}: ${answer.status}`);
    }
  }
  assert.ok((await agents.listArtifacts(id, { visibility: "all" })).every((path) => path.startsWith(at(""))));
});

test("files of another run are not reached, nor without a key", async () => {
  await agents.uploadArtifact(id, "out/mine.txt", "mine", "text/plain");
  const { id: other } = await converse("obedient");
  await assert.rejects(agents.getArtifactUrl(other, "out/mine.txt"), { status: 404 });
  await assert.rejects(clientOf(`${authToken}x`).agents.getArtifactUrl(id, "out/mine.txt"), { status: 401 });
});

test("files are there before the run begins and after it has ended, and through a restart of the server", async () => {
  const { id: run } = await converse("obedient");
  await agents.uploadArtifact(run, "files/early.txt", "early", "text/plain");
  await idle(run);
  await agents.terminate(run);
  await ended(run);
  await agents.uploadArtifact(run, "files/late.txt", "late", "text/plain");
  const { url } = await agents.getArtifactUrl(run, "files/early.txt");
  await restartServer("kill");
  assert.equal(await (await fetch(url)).text(), "early", "a signed URL outlives the server that signed it");
  assert.equal((await bytesOf(await agents.downloadArtifact(run, "files/late.txt"))).toString(), "late");
});
