// The list of runs as it grows: pages are added below as somebody scrolls, and what is in view is read again from time
// to time, so that new runs and changes arrive by themselves. A page's cursor stays good, so a window far below the
// newest runs costs one request, as the top does.
import { Store } from "@/api/store";
import { isLive, type ReadRows, type Rows, type RunRow } from "./rows";

export interface FeedState {
  /** Newest first. */
  rows: readonly RunRow[];
  /** The first page has come. */
  ready: boolean;
  /** There are older runs. */
  more: boolean;
  error: unknown;
}

interface Mark {
  row: RunRow;
  cursor: string;
}

const EMPTY: FeedState = { rows: [], ready: false, more: false, error: null };

export class RunFeed {
  readonly state = new Store<FeedState>(EMPTY);
  readonly #read: ReadRows;
  #rows = new Map<string, RunRow>();
  #marks: Mark[] = [];
  #end: string | null = null;
  #growing = false;
  #refreshing = false;

  constructor(read: ReadRows) {
    this.#read = read;
  }

  /** Read the newest runs, and those of the window (indices of rows) that may have changed. */
  async refresh(window: { first: number; last: number }): Promise<void> {
    if (this.#refreshing) return;
    this.#refreshing = true;
    try {
      const shown = this.state.get().rows.slice(window.first, window.last + 1);
      await this.#refreshNewest();
      const oldest = shown.findLast((row) => isLive(row.status));
      const mark = shown[0] && oldest ? this.#markBefore(shown[0]) : undefined;
      if (mark) this.#merge(await this.#page(mark.cursor), mark.row);
      this.#publish(null);
    } catch (error) {
      this.#publish(error);
    } finally {
      this.#refreshing = false;
    }
  }

  /** Read the page below the oldest run. */
  async grow(): Promise<void> {
    if (this.#growing || this.#end === null) return;
    this.#growing = true;
    try {
      const page = await this.#page(this.#end);
      this.#end = page.next;
      this.#merge(page, null);
      this.#publish(null);
    } catch (error) {
      this.#publish(error);
    } finally {
      this.#growing = false;
    }
  }

  /** The first page; where it does not reach what is known already, the list begins anew: more than a page was missed. */
  async #refreshNewest(): Promise<void> {
    const page = await this.#page(null);
    const known = page.rows.some((row) => this.#rows.has(row.id));
    if (!known || this.#rows.size === 0) {
      this.#rows = new Map();
      this.#marks = [];
      this.#end = page.next;
    }
    this.#merge(page, null, true);
  }

  #page(cursor: string | null): Promise<Rows> {
    return this.#read(cursor);
  }

  /** Take a page in: the newest one, or the one below `above` (null: the oldest, whose place is its own first row). */
  #merge(page: Rows, above: RunRow | null, newest = false): void {
    const last = page.rows.at(-1);
    const from = newest ? null : (above ?? page.rows[0]);
    if (from !== undefined) this.#forget(page, from, last);
    for (const row of page.rows) {
      const known = this.#rows.get(row.id);
      if (known === undefined || JSON.stringify(known) !== JSON.stringify(row)) this.#rows.set(row.id, row);
    }
    if (last && page.next !== null && !this.#marks.some((mark) => mark.cursor === page.next)) {
      this.#marks.push({ row: last, cursor: page.next });
    }
  }

  /** Rows between `from` (null: the newest) and the page's last that are not in it do not fit any more, or are deleted. */
  #forget(page: Rows, from: RunRow | null, last: RunRow | undefined): void {
    const fresh = new Set(page.rows.map((row) => row.id));
    for (const row of this.#rows.values()) {
      const below = from === null || row.createdAt < from.createdAt;
      const above = page.next === null || (last !== undefined && row.createdAt > last.createdAt);
      if (below && above && !fresh.has(row.id)) this.#rows.delete(row.id);
    }
  }

  /** The place to read on from to reach this row; none where the newest page has it. */
  #markBefore(row: RunRow): Mark | undefined {
    const above = this.#marks.filter((mark) => newestFirst(mark.row, row) <= 0);
    return above.reduce<Mark | undefined>(
      (best, mark) => (best && newestFirst(best.row, mark.row) > 0 ? best : mark),
      undefined,
    );
  }

  #publish(error: unknown): void {
    const before = this.state.get();
    const rows = [...this.#rows.values()].sort(newestFirst);
    const same = rows.length === before.rows.length && rows.every((row, index) => row === before.rows[index]);
    const more = this.#end !== null;
    const ready = before.ready || error === null;
    if (same && more === before.more && ready === before.ready && error === before.error) return;
    this.state.set({ rows: same ? before.rows : rows, ready, more, error });
  }
}

function newestFirst(one: RunRow, other: RunRow): number {
  if (one.createdAt !== other.createdAt) return one.createdAt < other.createdAt ? 1 : -1;
  return one.id < other.id ? 1 : one.id > other.id ? -1 : 0;
}
