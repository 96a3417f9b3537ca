// The client as its users make it. Its warnings count as errors: it warns of what is not AG-UI.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after } from "node:test";
import { HttpAgent } from "@ag-ui/client";
import { apiUrl, authToken } from "../shared/server.mjs";

export { call, eventually, restartServer } from "../shared/server.mjs";

const warnings = [];
console.warn = (...words) => warnings.push(words.join(" "));
after(() => assert.deepEqual(warnings, [], "what the client warns of"));

/** An agent of the server, which keeps the events that it was given. */
export function agentOf(name, { messages = [], headers, ...config } = {}) {
  const agent = new HttpAgent({
    url: `${apiUrl}/ag-ui/${name}`,
    headers: headers ?? { Authorization: `Bearer ${authToken}` },
    initialMessages: messages,
    ...config,
  });
  agent.heard = [];
  agent.subscribe({ onEvent: ({ event }) => void agent.heard.push(event) });
  return agent;
}

/** The user's message. */
export const user = (content) => ({ id: randomUUID(), role: "user", content });

/** Say something and wait for the end of the run. */
export function say(agent, content, more = {}) {
  agent.addMessage(user(content));
  agent.heard.length = 0;
  return agent.runAgent(more);
}

/** The types of the events, each as often as it comes, without the server's own. */
export const types = (agent) => agent.heard.map(({ type }) => type).filter((type) => type !== "CUSTOM");

/** The client's messages, short. */
export const talk = (agent) =>
  agent.messages.map(({ role, content, toolCalls }) =>
    toolCalls?.length ? [role, content ?? "", toolCalls.map((call) => call.function.name)] : [role, content]);

export const last = (agent) => agent.heard.at(-1);
