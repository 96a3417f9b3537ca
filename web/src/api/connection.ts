// Is the server there? Every request reports what it met; while the server is away, one probe asks for all of them.
import { Store } from "./store";

export type Connection = "online" | "away";

const FIRST_PROBE_MS = 500;
const LAST_PROBE_MS = 8_000;

export const connection = new Store<Connection>("online");

let probing: ReturnType<typeof setTimeout> | undefined;

export function reportOnline(): void {
  connection.set("online");
}

export function reportAway(): void {
  connection.set("away");
  if (probing === undefined) probe(FIRST_PROBE_MS);
}

/** Ask now instead of at the end of the pause. */
export function probeNow(): void {
  clearTimeout(probing);
  probe(0);
}

function probe(delay: number): void {
  probing = setTimeout(async () => {
    probing = undefined;
    try {
      // Not /livez: a server whose database is away answers that, and nothing else.
      const answer = await fetch("/readyz", { cache: "no-store" });
      if (answer.ok) return reportOnline();
    } catch {
      // Still away.
    }
    probe(Math.min(Math.max(delay, FIRST_PROBE_MS) * 2, LAST_PROBE_MS));
  }, delay);
}
