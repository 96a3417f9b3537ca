import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { runKey } from "@/api/cached";
import { call } from "@/api/client";
import { isLive } from "@/api/runs";
import type { Run } from "@/api/types";

const LIVE_MS = 2_000;

/** The id of the run that the page is about. */
export function useRunId(): string {
  return useParams({ from: "/runs/$runId" }).runId;
}

/** A run; read again from time to time while it is live. */
export function useRun(runId: string) {
  return useQuery({
    queryKey: runKey(runId),
    queryFn: ({ signal }): Promise<Run> => call("get", "/runs/{run_id}", { path: { run_id: runId }, signal }),
    refetchInterval: ({ state }) => (state.data && !isLive(state.data.status) ? false : LIVE_MS),
  });
}
