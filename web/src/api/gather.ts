// Many small pieces made into few: a page draws once for what came in a moment, however often the network spoke.

/** How long pieces are held, in milliseconds: until nothing has come for `quiet`, but no longer than `most`. */
export interface Pace {
  quiet: number;
  most: number;
}

export class Gathering<T> {
  readonly #give: (pieces: T[]) => void;
  readonly #paceOf: (latest: T) => Pace;
  #held: T[] = [];
  #since = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `give` is called with all that was held, in order; `paceOf` says how long to hold what ends with a piece. */
  constructor(give: (pieces: T[]) => void, paceOf: (latest: T) => Pace) {
    this.#give = give;
    this.#paceOf = paceOf;
  }

  add(pieces: readonly T[]): void {
    const latest = pieces.at(-1);
    if (latest === undefined) return;
    const now = performance.now();
    if (this.#held.length === 0) this.#since = now;
    for (const piece of pieces) this.#held.push(piece);
    const { quiet, most } = this.#paceOf(latest);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), Math.min(quiet, this.#since + most - now));
  }

  /** Give on what is held now, if anything is. */
  flush(): void {
    clearTimeout(this.#timer);
    if (this.#held.length === 0) return;
    const held = this.#held;
    this.#held = [];
    this.#give(held);
  }

  /** Give on nothing more. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#held = [];
  }
}
