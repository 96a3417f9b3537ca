import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { call } from "@/api/client";
import { isLive } from "@/api/runs";
import { useNow } from "@/hooks/useNow";
import { useLog } from "../events/log";
import { useAt } from "../useAt";
import { useRun, useRunId } from "../useRun";
import { type HistoryTask, type Span, spansOf, withChildren, withModelCalls } from "./spans";

const LIVE_MS = 2_000;
const TICK_MS = 250;
const NONE: readonly never[] = [];

export interface Spans {
  spans: readonly Span[];
  /** Where the page stands in time, milliseconds since 1970: open spans have lasted until then. */
  until: number;
}

/** The run's spans: of its log, of the runs below it, and of its execution's history. */
export function useSpans(): Spans {
  const runId = useRunId();
  const { data: run } = useRun(runId);
  const { events } = useLog();
  const { at } = useAt();
  const live = run !== undefined && isLive(run.status);
  const now = useNow(live && at === undefined, TICK_MS);
  const refetchInterval = live ? LIVE_MS : false;
  const path = { run_id: runId };
  const { data: children } = useQuery({
    queryKey: ["run", runId, "tree", run?.status],
    queryFn: async ({ signal }) => {
      const tree = await call("get", "/runs/{run_id}/tree", { path, signal });
      return tree.data.filter((node) => node.parent_run_id === runId);
    },
    refetchInterval,
    placeholderData: (before) => before,
  });
  const { data: tasks } = useQuery({
    queryKey: ["run", runId, "history", run?.status, run?.attempt],
    queryFn: async ({ signal }): Promise<readonly HistoryTask[]> => {
      const query = { include_history: true, hydrate_payloads: true, history_format: "tasks" } as const;
      const details = await call("get", "/api/v1/agents/{run_id}/details", { path, query, signal });
      return details.history?.type === "tasks"
        ? details.history.tasks.filter(({ type }) => type === "activity")
        : NONE;
    },
    // Only agents call models.
    enabled: run?.kind === "agent",
    refetchInterval,
    placeholderData: (before) => before,
  });
  const lastAt = events.at(-1)?.at ?? 0;
  const until = live && at === undefined ? Math.max(now, lastAt) : lastAt;
  const told = useMemo(() => spansOf(events), [events]);
  const spans = useMemo(() => {
    const tools = new Set(told.filter(({ kind }) => kind === "tool").map(({ id }) => id.split(":")[1]));
    const calls = (tasks ?? NONE).filter((task) => !tools.has(task.activityId));
    return withModelCalls(withChildren(told, children ?? NONE, until), calls, until);
  }, [told, children, tasks, until]);
  return { spans, until };
}
