// Single questions asked together: what components ask for one by one within a moment goes to the server as one request.

const SETTLED_MS = 60;

interface Asker<V> {
  resolve: (value: V | null) => void;
  reject: (reason: unknown) => void;
}

export class Batched<V> {
  readonly #ask: (keys: string[]) => Promise<ReadonlyMap<string, V>>;
  readonly #most: number;
  #waiting = new Map<string, Asker<V>>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `ask` answers what is known of at most `most` keys. */
  constructor(ask: (keys: string[]) => Promise<ReadonlyMap<string, V>>, most: number) {
    this.#ask = ask;
    this.#most = most;
  }

  /** The value of a key, null where there is none. Who is gone (`signal`) before the question was sent is not asked for. */
  load(key: string, signal: AbortSignal): Promise<V | null> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(key, { resolve, reject });
      signal.addEventListener("abort", () => {
        this.#waiting.delete(key);
        reject(signal.reason);
      });
      this.#timer ??= setTimeout(() => void this.#send(), SETTLED_MS);
    });
  }

  async #send(): Promise<void> {
    this.#timer = undefined;
    const asked = [...this.#waiting];
    this.#waiting = new Map();
    for (let from = 0; from < asked.length; from += this.#most) {
      const some = asked.slice(from, from + this.#most);
      try {
        const found = await this.#ask(some.map(([key]) => key));
        for (const [key, { resolve }] of some) resolve(found.get(key) ?? null);
      } catch (error) {
        for (const [, { reject }] of some) reject(error);
      }
    }
  }
}
