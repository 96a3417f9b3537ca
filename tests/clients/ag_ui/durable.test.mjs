// A run survives its tab, and its server.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { agentOf, call, eventually, last, restartServer, say, talk, user } from "./perdure.mjs";

const slow = (count) => Array.from({ length: count }, (_, number) => `w${number} `).join("");

/** Begin a run, and lose the connection in the middle of its text. */
async function cutOff(count) {
  const agent = agentOf("obedient", { threadId: randomUUID() });
  const runId = randomUUID();
  const running = say(agent, `slow ${count}`, { runId }).catch(() => undefined);
  await eventually(() => agent.messages.at(-1)?.content?.includes("w3 "), "some of the text");
  return { agent, runId, running };
}

test("a client that is gone finds its run again, by its ids only or with what it knows", async () => {
  const { agent, runId, running } = await cutOff(100);
  agent.abortRun();
  await running;
  const partial = agent.messages.at(-1).content;
  assert.ok(partial.length < slow(100).length);
  assert.equal((await call("GET", `/runs/${runId}`)).status, "running");
  const fresh = agentOf("obedient", { threadId: agent.threadId });
  const followers = [agent.runAgent({ runId }), fresh.runAgent({ runId })];
  await Promise.all(followers);
  for (const one of [agent, fresh]) {
    assert.deepEqual(talk(one), [["user", "slow 100"], ["assistant", slow(100)]]);
    assert.equal(last(one).type, "RUN_FINISHED");
  }
  await fresh.runAgent({ runId });
  assert.deepEqual(talk(fresh), [["user", "slow 100"], ["assistant", slow(100)]]);
});

test("the server is killed: the text of the lost attempt is taken back", async () => {
  const { agent, runId, running } = await cutOff(100);
  agent.abortRun(); // a connection that breaks by itself is an error that the client leaves to nobody
  await running;
  await restartServer("kill");
  await agent.runAgent({ runId });
  assert.equal(last(agent).type, "RUN_FINISHED");
  assert.deepEqual(talk(agent), [["user", "slow 100"], ["assistant", slow(100)]]);
  assert.ok(agent.heard.some(({ name }) => name === "perdure.message.superseded"));
  const late = agentOf("obedient", { threadId: agent.threadId, messages: [user("slow 100")] });
  await late.runAgent({ runId });
  assert.deepEqual(talk(late), [["user", "slow 100"], ["assistant", slow(100)]]);
});
