import { Navigate } from "@tanstack/react-router";
import { defaultTab } from "./tabs";
import { useRun, useRunId } from "./useRun";

/** A run without the name of a tab: its kind says which. */
export default function RunHome() {
  const runId = useRunId();
  const { data: run } = useRun(runId);
  return run ? (
    <Navigate to={`/runs/${encodeURIComponent(runId)}/${defaultTab(run.kind)}`} search={true} replace />
  ) : null;
}
