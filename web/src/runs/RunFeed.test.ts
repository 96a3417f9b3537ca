import { describe, expect, it } from "vitest";
import { RunFeed } from "./RunFeed";
import type { ReadRows, RunRow } from "./rows";

function row(id: string, minute: number, more: Partial<RunRow> = {}): RunRow {
  const createdAt = new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString();
  return {
    ...{ id, kind: "agent", status: "running", waitsFor: null, agent: "writer", tags: [], startedBy: null },
    ...{ createdAt, startedAt: createdAt, endedAt: null, attempt: 1, error: null, ...more },
  };
}

/** Pages of these rows, in this order. */
function pages(...all: RunRow[][]): ReadRows {
  return async (cursor) => {
    const page = Number(cursor ?? 0);
    return { rows: all[page] ?? [], next: page + 1 < all.length ? String(page + 1) : null };
  };
}

function shown(feed: RunFeed): string[] {
  return feed.state.get().rows.map(({ id, status }) => `${id} ${status}`);
}

const anything = (): boolean => true;

describe("the list of runs", () => {
  it("keeps the server's order, whatever it is by, when rows of it move", async () => {
    // The search puts those first that began last; these were made in another order.
    const feed = new RunFeed(pages([row("b", 1), row("c", 3), row("a", 2)]), anything);
    await feed.reload();
    feed.tell([["a", row("a", 2, { status: "completed" })]]);
    feed.tell([["b", row("b", 1, { status: "failed" })]]);
    expect(shown(feed)).toEqual(["b failed", "c running", "a completed"]);
  });

  it("keeps the order of the server for runs of one moment", async () => {
    const feed = new RunFeed(pages([row("a", 1), row("B", 1)], [row("c", 1), row("A", 1)]), anything);
    await feed.reload();
    await feed.grow();
    feed.tell([
      ["A", row("A", 1, { status: "completed" })],
      ["a", row("a", 1, { status: "completed" })],
    ]);
    expect(shown(feed)).toEqual(["a completed", "B running", "c running", "A completed"]);
  });

  it("puts a run that is new where its time says", async () => {
    const feed = new RunFeed(pages([row("c", 5), row("a", 1)], [row("old", 0)]), anything);
    await feed.reload();
    feed.tell([
      ["d", row("d", 7)],
      ["b", row("b", 3)],
      ["older", row("older", -1)],
    ]);
    expect(shown(feed)).toEqual(["d running", "c running", "b running", "a running"]);
    await feed.grow();
    expect(shown(feed).at(-1)).toBe("old running");
  });

  it("holds a run once, though two pages have it", async () => {
    const feed = new RunFeed(
      pages([row("c", 3), row("b", 2)], [row("b", 2, { status: "completed" }), row("a", 1)]),
      anything,
    );
    await feed.reload();
    await feed.grow();
    expect(shown(feed)).toEqual(["c running", "b completed", "a running"]);
  });

  it("leaves no gap where somebody scrolls on while it is read anew", async () => {
    let answer = (): void => undefined;
    const read = pages([row("d", 4)], [row("c", 3)], [row("b", 2)]);
    let slow = false;
    const feed = new RunFeed(async (cursor) => {
      if (slow) await new Promise<void>((resolve) => (answer = resolve));
      return read(cursor);
    }, anything);
    await feed.reload();
    slow = true;
    const again = feed.reload();
    await feed.grow();
    expect(shown(feed)).toEqual(["d running"]);
    slow = false;
    answer();
    await again;
    await feed.grow();
    expect(shown(feed)).toEqual(["d running", "c running"]);
  });

  it("lets go of what is deleted or fits no longer, and takes it again", async () => {
    const feed = new RunFeed(pages([row("b", 2), row("a", 1)]), ({ status }) => status === "running");
    await feed.reload();
    feed.tell([["b", row("b", 2, { status: "completed" })]]);
    feed.tell([["a", null]]);
    expect(shown(feed)).toEqual([]);
    expect(feed.has("a")).toBe(false);
    feed.tell([["b", row("b", 2)]]);
    expect(shown(feed)).toEqual(["b running"]);
  });
});
