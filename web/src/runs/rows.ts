// A row of the list, and where rows come from: the list of runs, or the search, which tells less about each.

import { call } from "@/api/client";
import { isLive } from "@/api/runs";
import type { Answer, RunKind, RunPage, RunStatus } from "@/api/types";
import { type RunFilters, statusesOf } from "./filters";

export interface RunRow {
  id: string;
  kind: RunKind;
  status: RunStatus;
  /** What a waiting run waits for. */
  waitsFor: string | null;
  agent: string | null;
  tags: readonly string[];
  startedBy: string | null;
  createdAt: string;
  startedAt: string | null;
  endedAt: string | null;
  attempt: number;
  error: string | null;
}

export interface Rows {
  rows: RunRow[];
  /** Where the page after this one begins; null at the end. */
  next: string | null;
}

/** Reads a page; a null cursor is the newest page. Pages come newest first. */
export type ReadRows = (cursor: string | null) => Promise<Rows>;

export const PAGE_ROWS = 100;

export function rowsFor(filters: RunFilters): ReadRows {
  return filters.q ? searched(filters, filters.q) : listed(filters);
}

/** What the server takes for the filters that are no times and no words. */
export function wordsOf(filters: RunFilters) {
  return {
    status: statusesOf(filters),
    ...(filters.kind ? { kind: filters.kind } : {}),
    ...(filters.agent ? { agent_id: filters.agent } : {}),
    ...(filters.tag ? { tag: filters.tag } : {}),
  };
}

function listed(filters: RunFilters): ReadRows {
  return async (cursor) => {
    const query = {
      ...wordsOf(filters),
      limit: PAGE_ROWS,
      ...timesOf(filters),
      ...(cursor ? { cursor } : {}),
    };
    const page = await call("get", "/runs", { query });
    return { rows: page.data.map(fromRun), next: page.page_info.next };
  };
}

/** The times as the server reads them, which leaves out a run of exactly `since`. */
function timesOf(filters: RunFilters): { since?: string; until?: string } {
  return {
    ...(filters.since ? { since: filters.since } : {}),
    ...(filters.until ? { until: filters.until } : {}),
  };
}

/** Whether a run belongs to the list: what the server does for a page, for a run that its feed tells of. */
export function fitsFilters(filters: RunFilters, row: RunRow): boolean {
  const statuses = statusesOf(filters);
  const made = Date.parse(row.createdAt);
  return (
    (statuses.length === 0 || statuses.includes(row.status)) &&
    (filters.kind === undefined || row.kind === filters.kind) &&
    (filters.agent === undefined || (row.kind === "agent" && row.agent === filters.agent)) &&
    (filters.tag === undefined || row.tags.includes(filters.tag)) &&
    (filters.since === undefined || made > Date.parse(filters.since)) &&
    (filters.until === undefined || made <= Date.parse(filters.until))
  );
}

/** A run of the list, or of the feed, as a row. */
export function fromRun(run: RunPage["data"][number]): RunRow {
  return {
    id: run.run_id,
    kind: run.kind,
    status: run.status,
    waitsFor: run.waiting_reason,
    agent: run.agent_id ?? run.target,
    tags: run.tags,
    startedBy: run.created_by,
    createdAt: run.created_at,
    startedAt: run.started_at,
    endedAt: run.completed_at,
    attempt: run.attempt,
    error: run.error?.message ?? null,
  };
}

type Hit = Answer<"/api/v1/agents/search", "get">["hits"][number];
type HitStatus = Hit["status"];

/** The search knows runs of agents, by the words of the Agent Runs API. */
function searched(filters: RunFilters, words: string): ReadRows {
  const wanted = statusesOf(filters);
  const status = [...new Set(wanted.map((one): HitStatus => (isLive(one) ? "running" : (one as HitStatus))))];
  return async (cursor) => {
    const offset = Number(cursor ?? 0);
    const query = {
      query: words,
      status,
      sort: ["started_at:desc"],
      limit: PAGE_ROWS,
      offset,
      ...(filters.agent ? { interaction: filters.agent } : {}),
      ...(filters.tag ? { tags: [filters.tag] } : {}),
      ...timesOf(filters),
    };
    const found = await call("get", "/api/v1/agents/search", { query });
    const end = offset + found.hits.length;
    return {
      rows: found.hits.map(fromHit).filter((row) => wanted.length === 0 || wanted.includes(row.status)),
      next: end < found.total && found.hits.length > 0 ? String(end) : null,
    };
  };
}

function fromHit(hit: Hit): RunRow {
  return {
    id: hit.id,
    kind: "agent",
    status: statusOf(hit),
    waitsFor: null,
    agent: hit.interaction ?? null,
    tags: hit.tags ?? [],
    startedBy: hit.started_by,
    createdAt: hit.created_at,
    startedAt: hit.started_at,
    endedAt: hit.completed_at ?? null,
    attempt: 1,
    error: null,
  };
}

function statusOf(hit: Hit): RunStatus {
  if (hit.status === "created") return "pending";
  if (hit.status === "running") return hit.activity_state === "idle" ? "waiting" : "running";
  return hit.status;
}
