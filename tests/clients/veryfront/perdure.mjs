// The server under test, and what the client has no function for.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
// Also registers the validator of answers, without which no part of the client works.
import { createConversationRecord } from "veryfront/agent";
import { apiUrl, authToken, call, eventually, projectId } from "../shared/server.mjs";

export { apiUrl, authToken, call, eventually, folder, projectId, restartServer } from "../shared/server.mjs";
export const api = { apiUrl, authToken };

/** The id of a new conversation. */
export async function newConversation() {
  return (await createConversationRecord({ ...api, body: { type: "chat", project_id: projectId } })).id;
}

export const newId = () => `run_${randomUUID()}`;

/** The payloads of all public events of a run, read in small pages with the client. */
export async function eventsOf(client, runId, limit = 7) {
  const found = [];
  let after = 0;
  for (;;) {
    const page = await client.events(runId, { afterEventId: after, limit });
    for (const event of page.data) {
      assert.ok(event.event_id > after, "event ids grow");
      assert.equal(event.event_type, event.payload.type);
      after = event.event_id;
      found.push(event.payload);
    }
    if (page.page_info.next === null) return found;
    assert.equal(Number(page.page_info.next), after);
  }
}

/** An event of text, one of its kind. */
export const text = (number) => ({
  type: "TEXT_MESSAGE_CONTENT",
  messageId: "m",
  contentId: "c",
  delta: `word ${number} `,
});

/** The answer to starting the demo agent, which waits by now until somebody approves its mail. */
export async function waitingRun() {
  const made = await call("POST", "/runs", {
    kind: "agent",
    owner: { kind: "project", id: projectId },
    conversation_mode: "create_new",
    public_id: newId(),
    request: {
      mode: "agent",
      agent_id: "demo",
      input: { messages: [{ role: "user", content: "Send a mail." }], context: { project_id: null, branch_id: null } },
    },
  });
  await eventually(async () => (await call("GET", `/runs/${made.run.run_id}`)).status === "waiting", "the agent asks");
  return made;
}
