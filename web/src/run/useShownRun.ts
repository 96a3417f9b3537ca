import { useMemo } from "react";
import type { Run } from "@/api/types";
import { runAsOf } from "./asOf";
import { useLog } from "./events/log";
import { useAt } from "./useAt";
import { useRun, useRunId } from "./useRun";

/** The run that the page shows: as it is or, where the page stands at an event, as it was then. */
export function useShownRun(): Run | undefined {
  const { data: run } = useRun(useRunId());
  const { at } = useAt();
  const { events } = useLog();
  return useMemo(() => (run && at !== undefined ? runAsOf(run, events) : run), [run, at, events]);
}
