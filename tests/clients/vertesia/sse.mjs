// A stream as it is on the wire, read without any client.
import assert from "node:assert/strict";
import { apiUrl, authToken } from "../shared/server.mjs";

/** Reads a stream to its end: `data` are its frames' values, `events` their names. `key`: whether the header has it. */
export function sse(path, key) {
  const read = { data: [], events: [] };
  const answer = fetch(`${apiUrl}${path}`, {
    headers: { accept: "text/event-stream", ...(key ? { authorization: `Bearer ${authToken}` } : {}) },
  });
  read.opened = answer.then((response) => {
    assert.equal(response.status, 200, path);
    assert.match(response.headers.get("content-type"), /^text\/event-stream/);
    return response;
  });
  read.end = read.opened.then(async (response) => {
    let text = "";
    const decoder = new TextDecoder();
    for await (const bytes of response.body) {
      text += decoder.decode(bytes, { stream: true });
      const frames = text.split("\n\n");
      text = frames.pop();
      for (const frame of frames) take(read, frame.split("\n"));
    }
  });
  return read;
}

function take(read, lines) {
  const value = (name) => lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2));
  const data = value("data");
  if (data.length === 0) return;
  read.data.push(JSON.parse(data.join("\n")));
  read.events.push(value("event")[0]);
}

/** Whether a message of the canonical stream was taken back later. */
export const isRetired = (events, messageId) =>
  events.some(({ name, value }) => name === "perdure.message.superseded" && value.messageId === messageId);
