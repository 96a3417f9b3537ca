// The queue that a client mirrors a run's events with, over a bad network: nothing twice, nothing lost, in order.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  appendConversationRunEvents,
  createConversationAgentRun,
  createConversationRunEventQueueController,
  finalizeConversationAgentRun,
  getConversationRun,
  resyncConversationRunAppendCursor,
} from "veryfront/agent";
import { createRunsClient } from "veryfront/runs";
import { api, authToken, call, eventsOf, eventually, newConversation, newId, text } from "./perdure.mjs";
import { random, startProxy } from "../shared/proxy.mjs";

const client = createRunsClient({ ...api, retry: { maxRetries: 0 } });
let proxy;
let run;

before(async () => {
  proxy = await startProxy();
});
after(() => proxy.close());

async function fresh() {
  proxy.fate = () => "pass";
  run = await createConversationAgentRun({ ...api, conversationId: await newConversation(), agentId: "elsewhere" });
  proxy.seen.length = 0;
  return run;
}

function queue(more = {}) {
  return createConversationRunEventQueueController({
    apiUrl: proxy.url,
    authToken,
    conversationId: run.conversationId,
    runId: run.runId,
    latestEventId: run.latestEventId,
    latestExternalEventSequence: run.latestExternalEventSequence,
    maxEventsPerBatch: 24,
    ...more,
  });
}

const texts = (from, to) => Array.from({ length: to - from }, (_, index) => text(from + index));
const isAppend = (request) => request.method === "POST" && request.path.endsWith("/events");
const once = (fate) => {
  let done = false;
  return (request) => {
    if (done || !isAppend(request)) return "pass";
    done = true;
    return fate;
  };
};

/** What was appended, as the server has it: the events, and that the counters count them. */
async function stored() {
  const events = await eventsOf(client, run.runId, 100);
  const projection = await getConversationRun({ ...api, ...run });
  assert.equal(projection.latestExternalEventSequence, events.length);
  assert.equal(projection.latestEventId, events.length);
  return events;
}

/** Flush until nothing is left. */
async function drain(controller) {
  await eventually(async () => {
    const { outcome, disableReason } = await controller.flush();
    assert.notEqual(outcome, "stopped", disableReason);
    return controller.getSnapshot().pendingEventCount === 0;
  }, "the queue is empty");
}

for (const fate of ["lose answer", "cut answer", "lose request"]) {
  test(`${fate}: what was queued meanwhile goes with the same events again`, async () => {
    await fresh();
    const controller = queue();
    proxy.fate = once(fate);
    controller.enqueue(texts(0, 2));
    assert.equal((await controller.flush()).outcome, "retry_scheduled");
    controller.enqueue(texts(2, 3));
    const flushed = await controller.flush();
    assert.equal(flushed.outcome, "flushed");
    assert.equal(flushed.latestExternalEventSequence, 3);
    assert.deepEqual(await stored(), texts(0, 3));
    assert.deepEqual(
      proxy.seen.map(({ method, body }) => [method, body.events.length, body.expected_previous_external_event_sequence]),
      [["POST", 2, 0], ["POST", 3, 0]],
      "the server knew the beginning again, so the client needed no look at the run",
    );
  });
}

test("the same batch again, and nothing more", async () => {
  await fresh();
  const controller = queue();
  proxy.fate = once("lose answer");
  controller.enqueue(texts(0, 5));
  await controller.flush();
  const flushed = await controller.flush();
  assert.equal(flushed.outcome, "flushed");
  assert.equal(flushed.latestExternalEventSequence, 5);
  assert.deepEqual(await stored(), texts(0, 5));
});

test("every answer may be lost, at any place, in batches of any size", async () => {
  for (const seed of [1, 2]) {
    await fresh();
    const chance = random(seed);
    const fates = ["lose answer", "cut answer", "lose request", "pass", "pass"];
    proxy.fate = () => fates[Math.floor(chance() * fates.length)];
    const controller = queue({ maxEventsPerBatch: 7 });
    let sent = 0;
    while (sent < 150) {
      const next = Math.min(150, sent + 1 + Math.floor(chance() * 20));
      controller.enqueue(texts(sent, next));
      sent = next;
      const { outcome, disableReason } = await controller.flush();
      assert.notEqual(outcome, "stopped", disableReason);
    }
    await drain(controller);
    assert.deepEqual(await stored(), texts(0, 150));
  }
});

test("two writers at one run: each takes the other's cursor, and all is there once", async () => {
  await fresh();
  const writers = ["a", "b"].map((name) => ({ name, controller: queue({ maxCursorResyncsPerFlush: 100 }) }));
  const event = (name, number) => ({ type: "CUSTOM", name, value: number });
  await Promise.all(
    writers.map(async ({ name, controller }) => {
      for (let number = 0; number < 40; number += 1) {
        controller.enqueue([event(name, number)]);
        if (number % 3 === 0) await controller.flush();
      }
      await drain(controller);
    }),
  );
  const events = await stored();
  assert.equal(events.length, 80);
  for (const { name } of writers) {
    assert.deepEqual(
      events.filter((found) => found.name === name),
      Array.from({ length: 40 }, (_, number) => event(name, number)),
    );
  }
  assert.ok(proxy.seen.some(({ status }) => status === 400), "they did get in each other's way");
});

test("a stale cursor is a mismatch that the client knows, and recovers from", async () => {
  await fresh();
  const controller = queue();
  await appendConversationRunEvents({ ...api, ...run, events: [{ type: "CUSTOM", name: "foreign", value: 1 }] });
  const resynced = await resyncConversationRunAppendCursor({
    ...api,
    ...run,
    previousLatestExternalEventSequence: 0,
  });
  assert.equal(resynced.result, "advanced");
  controller.enqueue(texts(0, 3));
  const flushed = await controller.flush();
  assert.equal(flushed.outcome, "flushed");
  assert.equal(flushed.latestExternalEventSequence, 4);
  assert.deepEqual((await stored()).slice(1), texts(0, 3));
  assert.deepEqual(proxy.seen.map(({ method, status }) => [method, status]), [["POST", 400], ["GET", 200], ["POST", 200]]);
});

test("server-made events in between do not disturb the external cursor", async () => {
  await fresh();
  const controller = queue();
  controller.enqueue(texts(0, 2));
  await controller.flush();
  await call("POST", `/runs/${run.runId}/signals/hello`, { value: 1 });
  controller.enqueue(texts(2, 4));
  const flushed = await controller.flush();
  assert.equal(flushed.outcome, "flushed");
  assert.equal(flushed.latestExternalEventSequence, 4);
  assert.equal(flushed.latestEventId, 5);
  const events = await eventsOf(client, run.runId);
  assert.deepEqual([...events.slice(0, 2), ...events.slice(3)], texts(0, 4));
  assert.equal(events[2].name, "perdure.signal");
  assert.ok(proxy.seen.every(({ status }) => status === 200));
});

test("an ended run stops the queue, without more requests", async () => {
  await fresh();
  const controller = queue();
  await client.cancel(run.runId);
  controller.enqueue(texts(0, 2));
  const stopped = await controller.flush();
  assert.equal(stopped.outcome, "stopped");
  assert.equal(stopped.disabled, true);
  assert.equal(stopped.disableReason, "ignorable_append_rejection");
  assert.equal(proxy.seen.length, 1);
  assert.equal((await eventsOf(client, run.runId)).filter(({ type }) => type === "TEXT_MESSAGE_CONTENT").length, 0);
});

test("a stale cursor at an ended run stops the queue too", async () => {
  await fresh();
  const controller = queue();
  await appendConversationRunEvents({ ...api, ...run, events: texts(7, 8) });
  await client.cancel(run.runId);
  controller.enqueue(texts(0, 2));
  const stopped = await controller.flush();
  assert.equal(stopped.outcome, "stopped");
  assert.ok(["non_appendable", "ignorable_append_rejection"].includes(stopped.disableReason));
});

test("the answer to the last append is lost, then the run ends: the writer is told that all is well", async () => {
  await fresh();
  const controller = queue();
  proxy.fate = once("lose answer");
  controller.enqueue(texts(0, 3));
  await controller.flush();
  await finalizeConversationAgentRun({ ...api, ...run, status: "completed", provider: "p", model: "m" });
  assert.equal((await controller.flush()).outcome, "flushed");
  const events = await eventsOf(client, run.runId);
  assert.deepEqual(events.slice(0, 3), texts(0, 3));
  assert.equal(events.at(-1).type, "RUN_FINISHED");
  assert.equal(events.length, 4);
});

test("a run that is gone stops the queue", async () => {
  await fresh();
  const controller = queue({ runId: newId() });
  controller.enqueue(texts(0, 1));
  const stopped = await controller.flush();
  assert.equal(stopped.outcome, "stopped");
  assert.equal(stopped.disableReason, "ignorable_append_rejection");
});

test("an event over the limit is split or shortened by the client, and taken", async () => {
  await fresh();
  const long = "long – ".repeat(70_000);
  const controller = queue();
  controller.enqueue([{ ...text(0), delta: long }]);
  controller.enqueue([{ type: "TOOL_CALL_RESULT", messageId: "m:tool:t", toolCallId: "t", content: long, role: "tool" }]);
  await drain(controller);
  const events = await stored();
  const whole = events.filter(({ type }) => type === "TEXT_MESSAGE_CONTENT").map(({ delta }) => delta).join("");
  assert.equal(whole, long);
  assert.equal(events.at(-1).type, "TOOL_CALL_RESULT");
});
