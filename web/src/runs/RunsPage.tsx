import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { ListTree } from "lucide-react";
import { useState } from "react";
import { useProject } from "@/app/identity";
import { PageHeader } from "@/app/PageHeader";
import { CodeBlock } from "@/design/CodeBlock";
import { count } from "@/design/format";
import { EmptyState, ErrorState, Skeleton } from "@/design/states";
import { ActivityChart } from "./ActivityChart";
import { useActivity } from "./activity";
import { BulkBar } from "./BulkBar";
import { FilterBar } from "./FilterBar";
import { isFiltered, type RunFilters } from "./filters";
import { RunsTable } from "./RunsTable";
import { useRunFeed } from "./useRunFeed";

const route = getRouteApi("/runs");

export default function RunsPage() {
  const filters: RunFilters = route.useSearch();
  const navigate = useNavigate();
  const project = useProject()?.id;
  const runs = useRunFeed(project, filters);
  const bars = useActivity(project, filters);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const setFilters = (next: RunFilters): void => {
    setSelected(new Set());
    void navigate({ to: "/runs", search: next, replace: true });
  };
  const known = runs.ready ? `${count(runs.rows.length)}${runs.more ? "+" : ""}` : undefined;
  return (
    <>
      <PageHeader title="Runs" note={known} />
      <FilterBar filters={filters} onChange={setFilters} />
      {bars === undefined ? (
        <div className="h-20.5 shrink-0 border-b border-line" />
      ) : (
        <ActivityChart
          bars={bars}
          onPick={(from, to) =>
            setFilters({
              ...filters,
              since: new Date(from).toISOString(),
              until: new Date(to).toISOString(),
            })
          }
        />
      )}
      {!runs.ready && runs.error !== null ? (
        <ErrorState error={runs.error} onRetry={runs.refresh} />
      ) : !runs.ready ? (
        <Loading />
      ) : runs.rows.length === 0 ? (
        <NoRuns filtered={isFiltered(filters)} onClear={() => setFilters({})} />
      ) : (
        <RunsTable key={JSON.stringify(filters)} runs={runs} selected={selected} onSelect={setSelected} />
      )}
      <BulkBar
        rows={runs.rows.filter((row) => selected.has(row.id))}
        onDone={() => {
          setSelected(new Set());
          runs.refresh();
        }}
      />
    </>
  );
}

function Loading() {
  return (
    <div role="status" aria-label="Loading" className="flex flex-col gap-3 p-6">
      {["a", "b", "c", "d", "e", "f"].map((key) => (
        <Skeleton key={key} className="h-6" />
      ))}
    </div>
  );
}

const FIRST_RUN = 'perdure runs create demo "Plan a weekend in Lisbon"';

function NoRuns({ filtered, onClear }: { filtered: boolean; onClear: () => void }) {
  const icon = <ListTree className="size-6" />;
  if (filtered) {
    return (
      <EmptyState icon={icon} title="No run fits">
        Runs that do will appear here by themselves.{" "}
        <button type="button" className="text-accent-ink underline" onClick={onClear}>
          Clear the filters
        </button>
      </EmptyState>
    );
  }
  return (
    <EmptyState icon={icon} title="No runs yet">
      Start one, and it appears here by itself:
      <CodeBlock label="Command" code={FIRST_RUN} className="mt-3 text-left" />
    </EmptyState>
  );
}
