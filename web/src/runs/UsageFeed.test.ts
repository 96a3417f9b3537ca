import { describe, expect, it } from "vitest";
import { type Usage, UsageFeed } from "./UsageFeed";

function usage(run_id: string, settled: boolean): Usage {
  return { run_id, input_tokens: 1, output_tokens: 2, settled };
}

describe("the tokens of runs", () => {
  it("are asked for once when they are settled, else again after a while", async () => {
    const asked: string[][] = [];
    const feed = new UsageFeed(async (ids) => {
      asked.push(ids);
      return ids.filter((id) => id !== "nowhere").map((id) => usage(id, id === "ended"));
    });
    const ids = ["ended", "live", "nowhere"];
    await feed.look(ids, 0);
    await feed.look(ids, 1_000);
    await feed.look([...ids, "new"], 4_999);
    await feed.look(ids, 5_000);
    expect(asked).toEqual([["ended", "live", "nowhere"], ["new"], ["live", "nowhere"]]);
    expect([...feed.known.get().keys()]).toEqual(["ended", "live", "new"]);
  });

  it("are asked for in pieces, and again where that failed", async () => {
    const asked: number[] = [];
    const feed = new UsageFeed(async (ids) => {
      asked.push(ids.length);
      if (asked.length === 1) throw new Error("away");
      return ids.map((id) => usage(id, true));
    });
    const ids = Array.from({ length: 60 }, (_, place) => `run-${place}`);
    await feed.look(ids, 0);
    expect(feed.known.get().size).toBe(10);
    await feed.look(ids, 1);
    expect(feed.known.get().size).toBe(60);
    expect(asked).toEqual([50, 10, 50]);
  });
});
