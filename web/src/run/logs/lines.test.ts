import { describe, expect, it } from "vitest";
import type { LogEvent } from "@/log/event";
import { linesOf, piecesOf } from "./lines";

function log(...said: [stream: string, text: string][]): LogEvent[] {
  return said.map(([stream, text], place) => ({
    id: place + 1,
    type: "CUSTOM",
    at: place + 1,
    payload: { type: "CUSTOM", name: "perdure.log", value: { stream, text } },
  }));
}

function shown(events: LogEvent[]): string[] {
  return linesOf(events).map(({ stream, text, at }) => `${at} ${stream}: ${text}`);
}

describe("the lines of a log", () => {
  it("are joined of pieces, each stream for itself, in the order in which they began", () => {
    const events = log(["stdout", "on"], ["stderr", "oh\nno"], ["stdout", "e\ntwo\n"], ["stderr", "!\n"]);
    expect(shown(events)).toEqual(["1 stdout: one", "2 stderr: oh", "2 stderr: no!", "3 stdout: two"]);
  });

  it("are empty where the program wrote an empty one, but not after the last line break", () => {
    expect(shown(log(["stdout", "a\n\nb\n"]))).toEqual(["1 stdout: a", "1 stdout: ", "1 stdout: b"]);
    expect(shown(log(["stdout", ""]))).toEqual([]);
  });

  it("are told by nothing else", () => {
    const other = {
      id: 1,
      type: "CUSTOM",
      at: 1,
      payload: { type: "CUSTOM", name: "other", value: { text: "x" } },
    };
    expect(linesOf([other])).toEqual([]);
  });
});

describe("a line's pieces", () => {
  it("have the colours of the terminal, and none of its other sequences", () => {
    const text = "\u001b[31mred\u001b[0m plain \u001b[1;92mgreen\u001b[39m\u001b[2Kend\u001b]0;title\u0007";
    expect(piecesOf(text)).toEqual([
      { text: "red", tone: "red" },
      { text: " plain ", tone: "plain" },
      { text: "green", tone: "green" },
      { text: "end", tone: "plain" },
    ]);
  });

  it("are what a carriage return left", () => {
    expect(piecesOf("10 %\r50 %\r100 %")).toEqual([{ text: "100 %", tone: "plain" }]);
    expect(piecesOf("done\r")).toEqual([{ text: "done", tone: "plain" }]);
  });
});
