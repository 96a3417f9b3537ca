import { describe, expect, it } from "vitest";
import { piecesOf } from "./pieces";

describe("a long Markdown text", () => {
  it("is cut at blank lines, and nothing of it is lost", () => {
    const text = "one one\n\ntwo two\n\nthree three";
    expect(piecesOf(text, 5)).toEqual(["one one\n\n", "two two\n\n", "three three"]);
    expect(piecesOf(text, 12)).toEqual(["one one\n\ntwo two\n\n", "three three"]);
  });

  it("stays whole where it is short, and where one paragraph is long", () => {
    expect(piecesOf("one\n\ntwo", 100)).toEqual(["one\n\ntwo"]);
    expect(piecesOf("one\ntwo\nthree", 2)).toEqual(["one\ntwo\nthree"]);
  });

  it("is not cut inside of code, lists and quotes", () => {
    for (const text of [
      "```\none\n\ntwo\n~~~\n\nthree\n```",
      "~~~~\none\n\n~~~\n\ntwo\n~~~~",
      "1. one\n\n2. two\n\n   three",
      "- one\n\n- two",
      "> one\n\n> two",
    ])
      expect(piecesOf(text, 1)).toEqual([text]);
  });

  it("is cut after code has ended", () => {
    expect(piecesOf("```py\none\n\ntwo\n```\n\nthree", 1)).toEqual(["```py\none\n\ntwo\n```\n\n", "three"]);
  });

  it("stays whole where a link is defined in another place than used", () => {
    const text = "see [here]\n\nmore\n\n[here]: https://example.com";
    expect(piecesOf(text, 1)).toEqual([text]);
  });

  it("keeps its pieces while it grows", () => {
    const text = Array.from({ length: 50 }, (_, place) => `paragraph ${place}`).join("\n\n");
    const all = piecesOf(text, 40);
    const some = piecesOf(text.slice(0, text.length / 2), 40);
    expect(some.length).toBeGreaterThan(3);
    expect(all.slice(0, some.length - 1)).toEqual(some.slice(0, -1));
  });
});
