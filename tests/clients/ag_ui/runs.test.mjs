// Runs of AG-UI clients: streams, what an agent is given, errors.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { agentOf, call, last, say, talk, types } from "./perdure.mjs";

test("an answer is streamed, and the next one knows the conversation", async () => {
  const agent = agentOf("obedient");
  const { newMessages } = await say(agent, "hello", { runId: `run-${randomUUID()}` });
  assert.deepEqual(newMessages.map(({ content }) => content), ["You said: hello"]);
  assert.equal(types(agent)[0], "RUN_STARTED");
  assert.equal(agent.heard[0].threadId, agent.threadId);
  assert.deepEqual(last(agent).usage.map(({ model }) => model), ["obedient-1"]);
  await say(agent, "look here");
  assert.deepEqual(talk(agent), [
    ["user", "hello"],
    ["assistant", "You said: hello"],
    ["user", "look here"],
    ["assistant", "I will look.", ["look"]],
    ["tool", "saw here"],
    ["assistant", "look: saw here"],
  ]);
});

test("a run is one of ours: its id and its thread's are", async () => {
  const agent = agentOf("obedient", { threadId: randomUUID() });
  const runId = randomUUID();
  await say(agent, "hello", { runId });
  const run = await call("GET", `/runs/${runId}`);
  assert.deepEqual([run.status, run.conversation_id], ["completed", agent.threadId]);
});

test("state, context, properties and a thread of any name reach the agent; its state and result come back", async () => {
  const agent = agentOf("mirror", { threadId: "my thread", initialState: { count: 3 } });
  const context = [{ description: "where", value: "here" }];
  const { result } = await say(agent, "look", { context, forwardedProps: { colour: "red" } });
  const told = JSON.parse(agent.messages.at(-1).content);
  assert.deepEqual(told, { said: "look", props: { colour: "red" }, context, state: { count: 3 }, thread: "my thread" });
  assert.deepEqual(agent.state, { seen: true });
  assert.deepEqual(result, { kept: 1 });
  assert.equal(agent.heard[0].threadId, "my thread");
  assert.ok(types(agent).includes("REASONING_MESSAGE_CONTENT"));
});

test("a failure is told in the stream", async () => {
  const agent = agentOf("obedient");
  await say(agent, "fail").catch(() => undefined);
  assert.equal(last(agent).type, "RUN_ERROR");
  assert.match(last(agent).message, /told to fail/);
});

test("a run that is cancelled ends as such", async () => {
  const agent = agentOf("obedient");
  const runId = randomUUID();
  const cancelled = new Promise((resolve) =>
    agent.subscribe({ onTextMessageStartEvent: () => resolve(call("POST", `/runs/${runId}/cancel`)) }));
  await Promise.all([say(agent, "slow 500", { runId }), cancelled]);
  assert.deepEqual(last(agent).outcome, { type: "cancelled" });
});

test("what cannot begin is refused before the stream", async () => {
  const status = async (agent) => {
    agent.addMessage({ id: "1", role: "user", content: "hello" });
    return agent.runAgent({ runId: randomUUID() }).then(() => 200, (error) => error.status);
  };
  assert.equal(await status(agentOf("nobody")), 404);
  assert.equal(await status(agentOf("obedient", { headers: {} })), 401);
  assert.equal(await status(agentOf("obedient", { threadId: "" })), 400);
  const first = agentOf("obedient");
  const runId = randomUUID();
  await say(first, "hello", { runId });
  const other = agentOf("obedient");
  await assert.rejects(() => say(other, "hello", { runId }), (error) => error.status === 409);
});
