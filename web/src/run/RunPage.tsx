import { Outlet } from "@tanstack/react-router";
import { ErrorState, Skeleton } from "@/design/states";
import { Tabs } from "@/design/Tabs";
import { RunHeader } from "./RunHeader";
import { RUN_TABS } from "./tabs";
import { useRun, useRunId } from "./useRun";

export default function RunPage() {
  const runId = useRunId();
  const { data: run, error, refetch } = useRun(runId);
  if (!run && error) return <ErrorState error={error} onRetry={() => void refetch()} />;
  const tabs = RUN_TABS.map((tab) => ({
    to: `/runs/${encodeURIComponent(runId)}/${tab.path}`,
    label: tab.label,
  }));
  return (
    <>
      {run ? <RunHeader run={run} /> : <Skeleton className="m-6 h-12" />}
      <Tabs label="Views of the run" tabs={tabs} />
      <Outlet key={runId} />
    </>
  );
}
