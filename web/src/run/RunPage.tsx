import { Outlet } from "@tanstack/react-router";
import { ErrorState, Skeleton } from "@/design/states";
import { Tabs } from "@/design/Tabs";
import { LogContext, useFollowedLog } from "./events/log";
import { RunHeader } from "./RunHeader";
import { ReplayBar } from "./state/ReplayBar";
import { hasTab, RUN_TABS } from "./tabs";
import { useRun, useRunId } from "./useRun";

export default function RunPage() {
  const runId = useRunId();
  const { data: run, error, refetch } = useRun(runId);
  const log = useFollowedLog(runId, run);
  if (!run && error) return <ErrorState error={error} onRetry={() => void refetch()} />;
  const tabs = RUN_TABS.filter((tab) => run && hasTab(run.kind, tab)).map((tab) => ({
    to: `/runs/${encodeURIComponent(runId)}/${tab.path}`,
    label: tab.label,
  }));
  return (
    <LogContext value={log}>
      {run ? <RunHeader run={run} /> : <Skeleton className="m-6 h-12" />}
      <Tabs label="Views of the run" tabs={tabs} keepSearch />
      <Outlet key={runId} />
      <ReplayBar />
    </LogContext>
  );
}
