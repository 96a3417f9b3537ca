// What the list shows, as it stands in the URL.
import { KINDS } from "@/api/runs";
import type { RunKind, RunStatus } from "@/api/types";

export const STATUSES = [
  "pending",
  "running",
  "waiting",
  "completed",
  "failed",
  "cancelled",
] as const satisfies readonly RunStatus[];

export interface RunFilters {
  /** Words to look for. */
  q?: string;
  /** Statuses, with commas between. */
  status?: string;
  kind?: RunKind;
  agent?: string;
  tag?: string;
  /** Made from this time on, and before that one: ISO 8601. */
  since?: string;
  until?: string;
}

/** What of a URL's search means something here; the rest is left out. */
export function readFilters(search: Record<string, unknown>): RunFilters {
  const filters: RunFilters = {};
  const said = (name: string): string | undefined => {
    const value = search[name];
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const [q, agent, tag] = [said("q"), said("agent"), said("tag")];
  if (q) filters.q = q;
  if (agent) filters.agent = agent;
  if (tag) filters.tag = tag;
  const [since, until] = [timeOf(said("since")), timeOf(said("until"))];
  if (since) filters.since = since;
  if (until) filters.until = until;
  const statuses = statusesOf({ status: said("status") ?? "" });
  if (statuses.length > 0) filters.status = statuses.join(",");
  const kind = KINDS.find((one) => one === search.kind);
  if (kind) filters.kind = kind;
  return filters;
}

function timeOf(word: string | undefined): string | undefined {
  const time = Date.parse(word ?? "");
  return Number.isNaN(time) ? undefined : new Date(time).toISOString();
}

export function statusesOf(filters: RunFilters): RunStatus[] {
  const words = filters.status?.split(",") ?? [];
  return STATUSES.filter((status) => words.includes(status));
}

export function isFiltered(filters: RunFilters): boolean {
  return Object.keys(filters).length > 0;
}
