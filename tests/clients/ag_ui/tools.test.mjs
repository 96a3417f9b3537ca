// Tools that the client executes, and decisions about the server's: the run ends, and goes on with the next one.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { buildResumeArray } from "@ag-ui/client";
import { agentOf, call, last, say, talk } from "./perdure.mjs";

const parameters = { type: "object", properties: { what: { type: "string" } }, required: ["what"] };
const tools = ["ask_user", "ask_again"].map((name) => ({ name, description: "Asks the user.", parameters }));

/** The client's answer to a call. */
const answer = (agent, toolCallId, content) => agent.addMessage({ id: randomUUID(), role: "tool", toolCallId, content });

test("a client's tool is called, and its result goes on with the same run", async () => {
  const agent = agentOf("obedient");
  const runId = randomUUID();
  await say(agent, "ask why", { runId, tools });
  const { pendingToolCallIds } = last(agent).outcome;
  assert.equal(pendingToolCallIds.length, 1);
  assert.equal((await call("GET", `/runs/${runId}`)).status, "waiting");
  answer(agent, pendingToolCallIds[0], "because");
  await agent.runAgent({ tools });
  assert.deepEqual(talk(agent), [
    ["user", "ask why"],
    ["assistant", "I will ask.", ["ask_user"]],
    ["tool", "because"],
    ["assistant", "ask_user: because"],
  ]);
  assert.equal((await call("GET", `/runs/${runId}`)).status, "completed");
});

test("results may come one by one, and each turn can be asked for again", async () => {
  const agent = agentOf("obedient");
  const turns = [randomUUID(), randomUUID(), randomUUID()];
  await say(agent, "both x", { runId: turns[0], tools });
  const [one, two] = last(agent).outcome.pendingToolCallIds;
  answer(agent, one, "1");
  await agent.runAgent({ runId: turns[1], tools });
  assert.deepEqual(last(agent).outcome.pendingToolCallIds, [two]);
  answer(agent, two, "2");
  await agent.runAgent({ runId: turns[2], tools });
  const done = talk(agent);
  assert.deepEqual(done.at(-1), ["assistant", "ask_user: 1; ask_again: 2"]);
  const finishes = [];
  for (const runId of [turns[2], turns[1], turns[2]]) {
    await agent.runAgent({ runId, tools });
    finishes.push(last(agent).type);
    assert.deepEqual(talk(agent).toSorted(), done.toSorted(), runId);
  }
  assert.deepEqual(finishes, Array(3).fill("RUN_FINISHED"));
});

for (const [approved, said] of [[true, "send: sent it"], [false, "send: not now"]]) {
  test(`a decision is asked for: ${approved}`, async () => {
    const agent = agentOf("obedient");
    await say(agent, "send it");
    assert.equal(last(agent).outcome.type, "interrupt");
    const [interrupt] = agent.pendingInterrupts;
    assert.equal(interrupt.responseSchema.properties.approved.type, "boolean");
    const payload = { approved, reason: "not now" };
    const resume = buildResumeArray(agent.pendingInterrupts, { [interrupt.id]: { status: "resolved", payload } });
    await agent.runAgent({ resume });
    assert.equal(agent.messages.at(-1).content, said);
    assert.deepEqual(agent.pendingInterrupts, []);
    await say(agent, "hello");
    assert.equal(agent.messages.at(-1).content, "You said: hello");
  });
}

test("what nobody asked cannot be resumed", async () => {
  const agent = agentOf("obedient");
  const resume = [{ interruptId: "none", status: "resolved", payload: { approved: true } }];
  await assert.rejects(() => say(agent, "hello", { resume }), (error) => error.status === 409);
});
