// The package's form tool: it asks through this server, somebody answers over HTTP, and the tool returns what they said.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import {
  createAgentServiceFormInputTool,
  createConversationAgentRun,
  createConversationRunChunkMirror,
  createHostedFormInputTool,
  createInputRequest,
  finalizeConversationAgentRun,
  getConversationRun,
  getInputRequest,
} from "veryfront/agent";
import { createRunsClient } from "veryfront/runs";
import { api, apiUrl, authToken, call, eventsOf, eventually, newConversation } from "./perdure.mjs";

const client = createRunsClient({ ...api, retry: { maxRetries: 0 } });
const LIFECYCLE = "veryfront.input_request.lifecycle";
const form = {
  title: "Tea",
  description: "How do you take it?",
  fields: [
    { type: "text", name: "who", label: "Who?", required: true, secret: false },
    { type: "number", name: "cups", label: "Cups", min: 1, max: 9, required: false, secret: false },
    { type: "confirm", name: "milk", label: "Milk?", confirmLabel: "Yes", denyLabel: "No", required: false, secret: false },
  ],
  submitLabel: "Brew",
};
const values = { who: "Ann", cups: 2, milk: true };

/** A run that asks. Its events are mirrored as the package does it, those about the request too. */
async function asking(createTool = createHostedFormInputTool) {
  const run = await createConversationAgentRun({ ...api, conversationId: await newConversation(), agentId: "elsewhere" });
  const requests = `/conversations/${run.conversationId}/input-requests`;
  const mirror = createConversationRunChunkMirror({ ...api, ...run, flushDelayMs: 5 });
  const toolCallId = `call_${randomUUID()}`;
  const context = { authToken, conversationId: run.conversationId, parentRunId: run.runId };
  const tool = createTool(context, apiUrl);
  await mirror.handleChunk({ type: "tool-input-start", toolCallId, toolName: "form_input" });
  await mirror.handleChunk({ type: "tool-input-available", toolCallId, toolName: "form_input", input: form });
  const answer = tool.execute(form, {
    toolCallId,
    publishDataEvent: async (event) => await mirror.handleChunk({ type: `data-${event.name}`, data: event.value }),
  });
  answer.catch(() => {});
  let open = [];
  await eventually(async () => (open = (await call("GET", `${requests}?status=open`)).data).length > 0, "it asks");
  assert.equal(open.length, 1);
  return { run, mirror, tool, context, toolCallId, answer, asked: open[0], one: `${requests}/${open[0].id}` };
}

const told = async (runId) =>
  (await eventsOf(client, runId))
    .filter(({ type, name }) => type === "CUSTOM" && name === LIFECYCLE)
    .map(({ value }) => [value.action, value.inputRequest.status]);

for (const createTool of [createHostedFormInputTool, createAgentServiceFormInputTool]) {
  test(`somebody answers, and the run goes on to append meanwhile and afterwards (${createTool.name})`, async () => {
    const { run, mirror, tool, toolCallId, answer, asked, one } = await asking(createTool);
    assert.equal(asked.run_id, run.runId);
    assert.equal(asked.tool_call_id, toolCallId);
    assert.equal(asked.title, form.title);
    assert.deepEqual(asked.metadata, { submitLabel: "Brew" });
    assert.equal((await getConversationRun({ ...api, ...run })).status, "running", "an open request does not park it");
    await mirror.handleChunk({ type: "text-start", id: "m" });
    await mirror.handleChunk({ type: "text-delta", id: "m", delta: "One moment." });
    await mirror.flush();
    assert.equal(mirror.getSnapshot().disabled, false);

    await call("POST", `${one}/responses`, { values });
    const result = await answer;
    assert.deepEqual(result, { submitted: true, values, inputRequestId: asked.id });
    const again = await tool.execute(form, { toolCallId });
    assert.equal(again.reused, true, "the tool asks once");

    await mirror.handleChunk({ type: "tool-output-available", toolCallId, output: result });
    await mirror.flush();
    assert.equal(mirror.getSnapshot().disabled, false);
    await finalizeConversationAgentRun({ ...api, runId: run.runId, status: "completed", provider: "p", model: "m" });
    const events = await eventsOf(client, run.runId);
    const returned = events.find(({ type }) => type === "TOOL_CALL_RESULT");
    assert.deepEqual(JSON.parse(returned.content).values, values);
    const statuses = (await told(run.runId)).map(([action, status]) => `${action} ${status}`);
    assert.ok(statuses.includes("updated submitted"), statuses.join());
    assert.equal(statuses.filter((each) => each === "created open").length, 2, "the server's event and the client's own");
    const snapshot = await call("GET", `/conversations/${run.conversationId}/runs/${run.runId}/snapshot`);
    const state = snapshot.events.find(({ event }) => event.type === "STATE_SNAPSHOT").event.snapshot;
    assert.equal(state.inputRequestsByToolCallId[toolCallId].status, "submitted");
  });
}

test("a value that does not fit is refused, and the tool goes on waiting", async () => {
  const { answer, one } = await asking();
  const wrong = await fetch(`${apiUrl}${one}/responses`, {
    method: "POST",
    headers: { Authorization: `Bearer ${authToken}`, "Content-Type": "application/json" },
    body: JSON.stringify({ values: { ...values, cups: 10 } }),
  });
  assert.equal(wrong.status, 400);
  assert.match((await wrong.json()).detail, /`cups`/);
  await call("POST", `${one}/responses`, { values });
  assert.deepEqual((await answer).values, values);
});

test("what is cancelled returns nothing", async () => {
  const { answer, one, asked, run } = await asking();
  await call("POST", `${one}/cancel`);
  assert.deepEqual(await answer, { submitted: false, values: {}, inputRequestId: asked.id });
  assert.ok((await told(run.runId)).some(([action, status]) => action === "updated" && status === "cancelled"));
});

test("the end of the run cancels what it asked", async () => {
  const { answer, asked, run } = await asking();
  await client.cancel(run.runId);
  assert.deepEqual(await answer, { submitted: false, values: {}, inputRequestId: asked.id });
});

test("time ends what nobody answers, by the server's clock", async () => {
  const run = await createConversationAgentRun({ ...api, conversationId: await newConversation(), agentId: "elsewhere" });
  const { conversationId, runId } = run;
  const expiresAt = new Date(Date.now() + 700).toISOString();
  const made = await createInputRequest({ ...api, conversationId, runId, toolCallId: "call", form, expiresAt });
  assert.equal(made.status, "open");
  let read;
  await eventually(
    async () => (read = await getInputRequest({ ...api, conversationId, inputRequestId: made.id })).status !== "open",
    "it expires",
  );
  assert.equal(read.status, "expired");
  assert.equal(Date.parse(read.expiredAt), Date.parse(expiresAt));
  assert.deepEqual(await told(runId), [["created", "open"], ["updated", "expired"]]);
});
