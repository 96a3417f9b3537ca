// A client whose clock is wrong: it uses its own time as its place in a stream, where it knows no better (section 3.5).
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { startProxy } from "../shared/proxy.mjs";
import { agents, answers, assertHeardAll, authToken, clientOf, converse, eventually, follow, idle, open, Type } from "./perdure.mjs";

const real = Date.now;
const isStarted = ({ details }) => details?.tool_event === "started";

describe("a client that follows", () => {
  for (const [name, minutes] of [["a minute ahead", 1], ["a minute behind", -1]]) {
    test(`with a clock that is ${name}`, async (t) => {
      t.after(() => (Date.now = real));
      const proxy = await startProxy();
      const by = clientOf(authToken, proxy.url, { fetch }).agents;
      const { id } = await converse("obedient");
      const word = `clock${minutes}-${process.pid}`;
      Date.now = () => real() + minutes * 60_000;
      const heard = follow(id, { by });
      await eventually(() => proxy.seen.some(({ path }) => path.includes("/stream")), "it follows");
      // The first stream ends in the middle of a text, when the client has the time of a chunk and no message's.
      await agents.sendSignal(id, "UserInput", { message: `until ${word}-1` });
      await eventually(() => heard.messages.filter(({ type }) => type === Type.STREAMING_CHUNK).length > 3, "it speaks");
      proxy.drop();
      open(`${word}-1`);
      await agents.sendSignal(id, "UserInput", { message: `wait ${word}` });
      await heard.until(isStarted, "the next turn is heard");
      open(word);
      await eventually(() => answers(heard.stored).length === 3, "all turns are heard");
      await idle(id);
      await agents.terminate(id);
      await heard.end;
      Date.now = real;
      await assertHeardAll(heard, id);
      proxy.close();
    });
  }
});
