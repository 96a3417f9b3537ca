// The server's stream through the client's decoder, which is strict here: an event that it does not understand is an error.
import assert from "node:assert/strict";
import { createAgUiChatEventDecoderState, decodeAgUiSseChunk, flushAgUiSseChunk } from "veryfront/chat/ag-ui";
import { api } from "./perdure.mjs";

/** A reader with the client's decoder: it stops at the run's end, and comes back when it is cut off. */
export function reader(run, url = api.apiUrl) {
  const state = createAgUiChatEventDecoderState({ validationMode: "strict" });
  const heard = { state, ids: [], chat: [], wire: [], connections: 0, ended: false, controller: new AbortController() };
  const take = ({ events }) => {
    for (const { eventId, wireEvent, chatEvents } of events) {
      heard.ids.push(eventId);
      heard.wire.push(wireEvent);
      heard.chat.push(...chatEvents);
      heard.ended ||= ["RunFinished", "RunError"].includes(wireEvent.eventName);
    }
  };
  /** One connection; `after` other than the last event heard is a replay that overlaps. */
  heard.connect = async (after = state.lastEventId) => {
    heard.connections += 1;
    heard.controller = new AbortController();
    state.remainder = "";
    const response = await fetch(`${url}/conversations/${run.conversationId}/runs/${run.runId}/stream`, {
      headers: {
        Authorization: `Bearer ${api.authToken}`,
        Accept: "text/event-stream",
        ...(after >= 0 ? { "Last-Event-ID": String(after) } : {}),
      },
      signal: heard.controller.signal,
    });
    assert.equal(response.status, 200);
    assert.match(response.headers.get("content-type"), /^text\/event-stream/);
    const decoder = new TextDecoder();
    for await (const bytes of response.body) take(decodeAgUiSseChunk(state, decoder.decode(bytes, { stream: true })));
    take(flushAgUiSseChunk(state));
  };
  heard.follow = async () => {
    const end = Date.now() + 60_000;
    while (!heard.ended) {
      assert.ok(Date.now() < end, "the run's end is heard within 60 s");
      try {
        await heard.connect();
      } catch (error) {
        if (error.code === "ERR_ASSERTION" || /Malformed/.test(error.message)) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
    assert.deepEqual(heard.ids, [...new Set(heard.ids)].sort((a, b) => a - b), "each event once, in order");
    return heard;
  };
  return heard;
}

/** The text that was heard. */
export const said = (heard) => heard.chat.filter(({ type }) => type === "text-delta").map(({ delta }) => delta).join("");

/** The types of the chat events, in order. */
export const kinds = (heard) => heard.chat.map(({ type }) => type);
