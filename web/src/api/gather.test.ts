import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Gathering } from "./gather";

describe("what is gathered", () => {
  const given: number[][] = [];
  const gathering = new Gathering<number>(
    (pieces) => given.push(pieces),
    (latest) => (latest < 100 ? { quiet: 40, most: 100 } : { quiet: 10, most: 10 }),
  );

  beforeEach(() => {
    vi.useFakeTimers();
    given.length = 0;
  });
  afterEach(() => {
    gathering.stop();
    vi.useRealTimers();
  });

  it("is given on once, when nothing has come for a while", () => {
    gathering.add([1, 2]);
    vi.advanceTimersByTime(39);
    gathering.add([3]);
    vi.advanceTimersByTime(39);
    expect(given).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(given).toEqual([[1, 2, 3]]);
  });

  it("is not held for longer than it may be", () => {
    for (let piece = 0; piece < 5; piece += 1) {
      gathering.add([piece]);
      vi.advanceTimersByTime(30);
    }
    expect(given).toEqual([[0, 1, 2, 3]]);
  });

  it("goes faster as soon as the newest piece says so", () => {
    gathering.add([1]);
    gathering.add([100]);
    vi.advanceTimersByTime(10);
    expect(given).toEqual([[1, 100]]);
  });

  it("is given on at once when asked, and never after the end", () => {
    gathering.add([1]);
    gathering.flush();
    gathering.add([2]);
    gathering.stop();
    vi.advanceTimersByTime(1_000);
    expect(given).toEqual([[1]]);
  });
});
