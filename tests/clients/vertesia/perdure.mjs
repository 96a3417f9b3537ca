// The client as its users make it, and what follows a run with it.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after } from "node:test";
import { VertesiaClient } from "@vertesia/client";
import { AgentMessageType } from "@vertesia/common";
import { apiUrl, authToken, eventually, folder } from "../shared/server.mjs";
import { checkedFetch, CheckedEventSource, violations } from "./oracle.mjs";

export { apiUrl, authToken, call, eventually, folder, projectId, restartServer } from "../shared/server.mjs";
export const Type = AgentMessageType;

globalThis.EventSource = CheckedEventSource; // the client takes this one where there is one, as in browsers
after(() => assert.deepEqual(violations, [], "answers that are not what the client's types say"));

/** A client with a key: a static token, or one that begins with `sk-` and is exchanged. */
export const clientOf = (apikey = authToken, url = apiUrl, more = {}) =>
  new VertesiaClient({ serverUrl: url, storeUrl: url, tokenServerUrl: `${url}/sts`, apikey, fetch: checkedFetch, ...more });

export const { agents } = clientOf();

/** Let a tool `gate` that waits for this name go on. */
export const open = (name) => writeFileSync(join(folder, name), "");

/** The run, as soon as `check(run)` is true. */
export async function runWhen(id, check, what) {
  let run;
  await eventually(async () => check((run = await agents.retrieve(id))), what);
  return run;
}

/** The run, as soon as it has ended. */
export const ended = (id) =>
  runWhen(id, ({ status }) => ["completed", "failed", "cancelled"].includes(status), `the end of run ${id}`);

/** The run, as soon as it waits for its user. */
export const idle = (id) => runWhen(id, (run) => run.activity_state === "idle", `run ${id} waits`);

/** A run of an agent that has one turn: what it is asked, and what else its creation says. */
export const start = (interaction, task, more = {}) =>
  agents.start({ interaction, interactive: false, data: { task }, ...more });

/** A run that goes on turn by turn. */
export const converse = (interaction, task, more = {}) =>
  agents.start({ interaction, data: task === undefined ? undefined : { task }, ...more });

/**
 * A client that follows a run: `messages` are those it was given, `stored` those of them that are kept, `end` its promise.
 * It stops by itself at the run's end; `stop()` makes it stop.
 */
export function follow(id, { by = agents, since, closeOnIdle, ...options } = {}) {
  const controller = new AbortController();
  const heard = { messages: [], done: false, stop: () => controller.abort() };
  const take = (message) => heard.messages.push(message);
  heard.end = by
    .streamMessages(id, take, since, controller.signal, { ...options, closeOnIdle })
    .finally(() => (heard.done = true));
  Object.defineProperty(heard, "stored", { get: () => heard.messages.filter(({ type }) => type !== Type.STREAMING_CHUNK) });
  heard.until = (check, what) => eventually(() => heard.stored.some(check), what);
  return heard;
}

/** Each kept message was heard once, in order, and nothing that is kept is missing. */
export async function assertHeardAll(heard, id, since) {
  const times = heard.stored.map(({ timestamp }) => timestamp);
  assert.deepEqual(times, [...new Set(times)].sort((a, b) => a - b), "each message once, in the order of its time");
  assert.deepEqual(heard.stored, await agents.retrieveMessages(id, since));
}

/** The text of the answers among messages. */
export const answers = (messages) => messages.filter(({ type }) => type === Type.ANSWER).map(({ message }) => message);

/** The types of messages by name, in order. */
export const kinds = (messages) => messages.map(({ type }) => AgentMessageType[type]);
