// The list of runs as it grows: pages are added below as somebody scrolls, and the server's feed of the project tells of
// every run that is made, moves or is deleted. Where the feed may have missed something, the list begins anew.
import { Store } from "@/api/store";
import type { ReadRows, RunRow } from "./rows";

export interface FeedState {
  /** Newest first. */
  rows: readonly RunRow[];
  /** The first page has come. */
  ready: boolean;
  /** There are older runs. */
  more: boolean;
  error: unknown;
}

const EMPTY: FeedState = { rows: [], ready: false, more: false, error: null };

/** Somebody who has scrolled through 100,000 runs would otherwise wait for a thousand pages after each reconnect. */
const MOST_READ_AGAIN = 1_000;

/**
 * A run keeps the place that the server's page gave it, whatever that is ordered by; only a run that the feed tells of
 * first is placed here.
 */
export class RunFeed {
  readonly state = new Store<FeedState>(EMPTY);
  readonly #read: ReadRows;
  readonly #fits: (row: RunRow) => boolean;
  #rows: RunRow[] = [];
  #ids = new Set<string>();
  #end: string | null = null;
  #growing = false;
  /** How often the list was read anew: the answer to an older question is of no use. */
  #round = 0;
  /** What the feed told while the newest page was on its way: it may be newer than that page. */
  #told: Map<string, RunRow | null> | null = null;

  /** `fits`: whether a run that the feed tells of belongs to this list. */
  constructor(read: ReadRows, fits: (row: RunRow) => boolean) {
    this.#read = read;
    this.#fits = fits;
  }

  /** Read the newest runs again, as many as are known within reason, so that who has scrolled a little keeps the place. */
  async reload(): Promise<void> {
    const round = ++this.#round;
    const told = new Map<string, RunRow | null>();
    this.#told = told;
    try {
      const wanted = Math.min(this.#rows.length, MOST_READ_AGAIN);
      const found: RunRow[] = [];
      let next: string | null = null;
      do {
        const page = await this.#read(next);
        if (round !== this.#round) return;
        found.push(...page.rows);
        next = page.next;
      } while (next !== null && found.length < wanted);
      this.#told = null;
      this.#rows = [];
      this.#ids = new Set();
      this.#append(found);
      this.#end = next;
      for (const [id, row] of told) this.#take(id, row);
      this.#publish(null);
    } catch (error) {
      if (round !== this.#round) return;
      this.#told = null;
      this.#publish(error);
    }
  }

  /** Read the page below the oldest run. */
  async grow(): Promise<void> {
    // While the list is read anew, its end is not known; who sees the end asks again when it is.
    if (this.#growing || this.#told !== null || this.#end === null) return;
    this.#growing = true;
    const round = this.#round;
    try {
      const page = await this.#read(this.#end);
      if (round !== this.#round) return;
      this.#end = page.next;
      this.#append(page.rows);
      this.#publish(null);
    } catch (error) {
      if (round === this.#round) this.#publish(error);
    } finally {
      this.#growing = false;
    }
  }

  /** Take what the feed told, in its order; a null row is a run that was deleted. */
  tell(moves: readonly (readonly [string, RunRow | null])[]): void {
    for (const [id, row] of moves) {
      this.#told?.delete(id);
      this.#told?.set(id, row);
      this.#take(id, row);
    }
    if (this.state.get().ready) this.#publish(this.state.get().error);
  }

  /** Say that nothing more will come. */
  fail(error: unknown): void {
    this.#publish(error);
  }

  /** Whether the list holds a run. */
  has(id: string): boolean {
    return this.#ids.has(id);
  }

  /** The next rows of the list. Some may be there already: pages by number move when runs are made meanwhile. */
  #append(rows: readonly RunRow[]): void {
    for (const row of rows) {
      if (this.has(row.id)) this.#rows[this.#placeOf(row)] = row;
      else {
        this.#rows.push(row);
        this.#ids.add(row.id);
      }
    }
  }

  #take(id: string, row: RunRow | null): void {
    const known = this.has(id);
    if (row === null || !this.#fits(row)) {
      if (!known) return;
      this.#rows.splice(
        this.#rows.findIndex((there) => there.id === id),
        1,
      );
      this.#ids.delete(id);
    } else if (known) {
      this.#rows[this.#placeOf(row)] = row;
    } else if (this.#end === null || this.#isAboveEnd(row)) {
      this.#rows.splice(this.#placeByTime(row), 0, row);
      this.#ids.add(id);
    }
  }

  /** Whether a run's place is above the oldest row: what is below comes with its page. */
  #isAboveEnd(row: RunRow): boolean {
    const oldest = this.#rows.at(-1);
    return oldest !== undefined && newestFirst(row, oldest) <= 0;
  }

  /** Where a row is that the list holds: most often where its time says. */
  #placeOf(row: RunRow): number {
    const likely = this.#placeByTime(row);
    return this.#rows[likely]?.id === row.id ? likely : this.#rows.findIndex((there) => there.id === row.id);
  }

  #placeByTime(row: RunRow): number {
    let [low, high] = [0, this.#rows.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const there = this.#rows[middle];
      if (there !== undefined && newestFirst(there, row) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #publish(error: unknown): void {
    const ready = this.state.get().ready || error === null;
    this.state.set({ rows: [...this.#rows], ready, more: this.#end !== null, error });
  }
}

function newestFirst(one: RunRow, other: RunRow): number {
  if (one.createdAt !== other.createdAt) return one.createdAt < other.createdAt ? 1 : -1;
  return one.id < other.id ? 1 : one.id > other.id ? -1 : 0;
}
