// How many runs were made when, as the server counts them, in intervals that fit the width of the page.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { call } from "@/api/client";
import type { RunStatus } from "@/api/types";
import type { RunFilters } from "./filters";
import { STATUSES } from "./filters";
import { wordsOf } from "./rows";
import { ACTIVITY_KEY } from "./useRunFeed";

const DAY_SECONDS = 86_400;
const MOST_BARS = 60;
const NICE_SECONDS = [1, 5, 15, 30, 60, 300, 900, 1_800, 3_600, 10_800, 21_600, 43_200, DAY_SECONDS];
const MOVED_MS = 60_000;

export interface Bar {
  /** Milliseconds since 1970. */
  from: number;
  to: number;
  total: number;
  /** Of each status that has any, in the order of STATUSES. */
  parts: readonly { status: RunStatus; runs: number }[];
}

/** The runs that pass the filters (without times: those of the last day), as bars without a gap between. */
export function useActivity(project: string | undefined, filters: RunFilters): readonly Bar[] | undefined {
  const { since, until, q } = filters;
  const { data } = useQuery({
    queryKey: [ACTIVITY_KEY, project, filters],
    enabled: project !== undefined,
    placeholderData: keepPreviousData,
    refetchInterval: MOVED_MS,
    queryFn: async ({ signal }) => {
      const span = spanOf(since, until);
      const found = await call("get", "/projects/{ref}/runs/activity", {
        path: { ref: project ?? "" },
        query: {
          since: new Date(span.from).toISOString(),
          until: new Date(span.to).toISOString(),
          interval_seconds: span.step / 1_000,
          ...wordsOf(filters),
          // The search finds runs of agents only.
          ...(q ? { query: q, kind: "agent" as const } : {}),
        },
        signal,
      });
      return barsOf(span, found.data);
    },
  });
  return data;
}

interface Span {
  from: number;
  to: number;
  step: number;
}

function spanOf(since: string | undefined, until: string | undefined): Span {
  const end = until === undefined ? Date.now() : Date.parse(until);
  const begin = since === undefined ? end - DAY_SECONDS * 1_000 : Math.min(Date.parse(since), end - 1_000);
  const seconds = (end - begin) / 1_000;
  const nice = NICE_SECONDS.find((one) => seconds / one <= MOST_BARS);
  const step = 1_000 * (nice ?? DAY_SECONDS * Math.ceil(seconds / DAY_SECONDS / MOST_BARS));
  const from = Math.floor(begin / step) * step;
  return { from, to: Math.max(from + step, Math.ceil(end / step) * step), step };
}

function barsOf(
  { from, to, step }: Span,
  counts: readonly { since: string; status: RunStatus; runs: number }[],
): Bar[] {
  const bars = Array.from({ length: Math.round((to - from) / step) }, (_, index) => ({
    from: from + index * step,
    to: from + (index + 1) * step,
    total: 0,
    parts: [] as { status: RunStatus; runs: number }[],
  }));
  for (const { since, status, runs } of counts) {
    const bar = bars[Math.floor((Date.parse(since) - from) / step)];
    if (bar === undefined) continue;
    bar.total += runs;
    bar.parts.push({ status, runs });
  }
  for (const bar of bars) bar.parts.sort((one, other) => orderOf(one.status) - orderOf(other.status));
  return bars;
}

function orderOf(status: RunStatus): number {
  return STATUSES.indexOf(status);
}
