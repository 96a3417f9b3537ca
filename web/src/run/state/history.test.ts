import { describe, expect, it } from "vitest";
import { log } from "@/log/example";
import { changesBetween, historyOf } from "./history";

function delta(...operations: unknown[]): Record<string, unknown> {
  return { type: "STATE_DELTA", delta: operations };
}

describe("the history of a state", () => {
  it("is the state after each event that changed it", () => {
    const moments = historyOf(
      log(
        { type: "RUN_STARTED" },
        { type: "STATE_SNAPSHOT", snapshot: { a: 1, list: [1] } },
        delta({ op: "add", path: "/list/-", value: 2 }, { op: "replace", path: "/a", value: 5 }),
        { type: "TEXT_MESSAGE_START" },
        { type: "STATE_SNAPSHOT", snapshot: {} },
      ),
    );
    expect(moments.map(({ event, state }) => [event.id, state])).toEqual([
      [2, { a: 1, list: [1] }],
      [3, { a: 5, list: [1, 2] }],
      [5, {}],
    ]);
  });

  it("begins with an empty object, and shares what has not changed", () => {
    const [one, two] = historyOf(
      log(
        delta({ op: "add", path: "/kept", value: { deep: true } }),
        delta({ op: "add", path: "/b", value: 1 }),
      ),
    );
    expect(two?.state).toEqual({ kept: { deep: true }, b: 1 });
    expect(two?.state).toHaveProperty("kept", one?.state && (one.state as Record<string, unknown>).kept);
  });

  it("keeps what fitted of a delta that does not fit whole", () => {
    const broken = delta(
      { op: "add", path: "/a", value: 1 },
      { op: "remove", path: "/nowhere" },
      { op: "add", path: "/b", value: 2 },
    );
    expect(historyOf(log(broken)).at(-1)?.state).toEqual({ a: 1 });
    expect(
      historyOf(log({ type: "STATE_SNAPSHOT", snapshot: 3 }, { type: "STATE_DELTA", delta: 3 })),
    ).toEqual([]);
  });
});

describe("what changed", () => {
  it("is told by pointers, with what was there before and what is there now", () => {
    expect(
      changesBetween({ a: 1, "x/y~z": { b: [1, 2] }, gone: 1 }, { a: 1, "x/y~z": { b: [1, 3] }, new: 2 }),
    ).toEqual([
      { path: "/x~1y~0z/b/1", before: 2, after: 3 },
      { path: "/gone", before: 1, after: undefined },
      { path: "/new", before: undefined, after: 2 },
    ]);
  });

  it("is the whole value where its sort is another one, and never more than is asked for", () => {
    expect(changesBetween([1], { 0: 1 })).toEqual([{ path: "", before: [1], after: { 0: 1 } }]);
    expect(changesBetween({}, { a: 1, b: 2, c: 3 }, 2)).toHaveLength(2);
  });
});
