// The tokens of the runs in view. The list does not tell them, so that it stays quick.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { Batched } from "@/api/batched";
import { call } from "@/api/client";
import type { Answer } from "@/api/types";
import { useProject } from "@/app/identity";
import type { RunRow } from "./rows";

export type Usage = Answer<"/projects/{ref}/runs/usage", "get">["data"][number];
export type UsageSource = Batched<Usage>;

/** Runs of one request: their ids are in its URL. */
const MOST = 50;
const MOVING_MS = 5_000;
const KEPT_MS = 60_000;

export function useUsageSource(): UsageSource | undefined {
  const project = useProject()?.id;
  return useMemo(() => {
    if (project === undefined) return undefined;
    return new Batched(async (ids) => {
      const query = { run_id: ids };
      const { data } = await call("get", "/projects/{ref}/runs/usage", { path: { ref: project }, query });
      return new Map(data.map((one) => [one.run_id, one]));
    }, MOST);
  }, [project]);
}

/** What a run has used; read again until that is all. */
export function useUsage(source: UsageSource | undefined, row: RunRow): Usage | undefined {
  const { data } = useQuery({
    queryKey: ["usage", row.id, row.endedAt],
    queryFn: ({ signal }) => source?.load(row.id, signal) ?? null,
    // A task calls no models that anybody tells of.
    enabled: source !== undefined && row.kind !== "task",
    placeholderData: keepPreviousData,
    staleTime: ({ state }) => (state.data?.settled ? Number.POSITIVE_INFINITY : MOVING_MS),
    refetchInterval: ({ state }) => (state.data && !state.data.settled ? MOVING_MS : false),
    gcTime: KEPT_MS,
  });
  return data ?? undefined;
}
