import { describe, expect, it } from "vitest";
import { Batched } from "./batched";

describe("questions that are asked together", () => {
  function lengths(most: number): { asked: string[][]; batched: Batched<number> } {
    const asked: string[][] = [];
    const ask = async (keys: string[]): Promise<Map<string, number>> => {
      asked.push(keys);
      if (keys.includes("bad")) throw new Error("no");
      return new Map(keys.filter((key) => key !== "nowhere").map((key) => [key, key.length]));
    };
    return { asked, batched: new Batched(ask, most) };
  }
  const here = new AbortController().signal;

  it("go out as one, and each is answered", async () => {
    const { asked, batched } = lengths(10);
    const answers = ["a", "bb", "nowhere"].map((key) => batched.load(key, here));
    expect(await Promise.all(answers)).toEqual([1, 2, null]);
    expect(asked).toEqual([["a", "bb", "nowhere"]]);
    expect(await batched.load("ccc", here)).toBe(3);
  });

  it("are cut where they are too many, and one failure is not that of the others", async () => {
    const { asked, batched } = lengths(2);
    const answers = ["a", "bad", "cc"].map((key) => batched.load(key, here));
    const settled = await Promise.allSettled(answers);
    expect(settled.map(({ status }) => status)).toEqual(["rejected", "rejected", "fulfilled"]);
    expect(asked).toEqual([["a", "bad"], ["cc"]]);
  });

  it("are left out when nobody waits for them any more", async () => {
    const { asked, batched } = lengths(10);
    const gone = new AbortController();
    const lost = batched.load("a", gone.signal);
    const kept = batched.load("bb", here);
    gone.abort();
    await expect(lost).rejects.toBeDefined();
    expect(await kept).toBe(2);
    expect(asked).toEqual([["bb"]]);
  });
});
