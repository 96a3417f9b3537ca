import { Store } from "@/api/store";
import type { Answer } from "@/api/types";

export type Usage = Answer<"/projects/{ref}/runs/usage", "get">["data"][number];

/** Runs of one request: their ids are in its URL. */
const MOST = 50;
/** How often what moves is asked for again. */
export const MOVING_MS = 5_000;

/** What is known of runs by now. It is asked for once, and again from time to time until that is all. */
export class UsageFeed {
  readonly known = new Store<ReadonlyMap<string, Usage>>(new Map());
  readonly #read: (ids: string[]) => Promise<Usage[]>;
  readonly #asked = new Map<string, number>();

  constructor(read: (ids: string[]) => Promise<Usage[]>) {
    this.#read = read;
  }

  /** Ask for what is not known of these runs, or moves; `now` in milliseconds. Failures are left for the next time. */
  async look(ids: readonly string[], now: number): Promise<void> {
    const wanted = ids.filter((id) => {
      const asked = this.#asked.get(id);
      return !this.known.get().get(id)?.settled && (asked === undefined || now - asked >= MOVING_MS);
    });
    for (const id of wanted) this.#asked.set(id, now);
    for (let from = 0; from < wanted.length; from += MOST) {
      const some = wanted.slice(from, from + MOST);
      try {
        const found = await this.#read(some);
        this.known.set(new Map([...this.known.get(), ...found.map((one) => [one.run_id, one] as const)]));
      } catch {
        for (const id of some) this.#asked.delete(id);
      }
    }
  }
}
