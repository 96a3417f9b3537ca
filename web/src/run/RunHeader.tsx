import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ChevronLeft, CornerLeftUp } from "lucide-react";
import type { ReactNode } from "react";
import { call } from "@/api/client";
import type { Run } from "@/api/types";
import { CopyButton } from "@/design/CodeBlock";
import { ago, duration, moment } from "@/design/format";
import { StatusChip } from "@/design/StatusChip";
import { useNow } from "@/hooks/useNow";
import { isLive } from "@/runs/rows";
import { RunActions } from "./RunActions";

export function RunHeader({ run }: { run: Run }) {
  const live = isLive(run.status);
  const now = useNow(live);
  return (
    <header className="flex shrink-0 flex-col gap-2.5 px-4 pt-3 pb-4 sm:px-6">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
        <Link
          to="/runs"
          aria-label="All runs"
          className="-ml-1.5 rounded p-1 text-muted hover:bg-hover hover:text-ink"
        >
          <ChevronLeft className="size-4" />
        </Link>
        <h1 className="min-w-0 truncate font-mono text-sm font-semibold">{run.run_id}</h1>
        <CopyButton text={run.run_id} label="Copy the id" />
        <StatusChip status={run.status} detail={run.waiting_reason} />
        {run.cancelling && live ? <span className="text-xs text-waiting">is being cancelled</span> : null}
        <div className="ml-auto">
          <RunActions run={run} />
        </div>
      </div>
      <dl className="flex flex-wrap gap-x-6 gap-y-1.5 text-xs">
        <Fact name={run.kind === "agent" ? "Agent" : run.kind}>{run.agent_id ?? run.target ?? "–"}</Fact>
        <Fact name="Attempt">{run.attempt}</Fact>
        <Fact name="Created">
          <time dateTime={run.created_at} title={moment(run.created_at)}>
            {ago(run.created_at, now)}
          </time>
        </Fact>
        <Fact name="Duration">{tookText(run, now)}</Fact>
        <Fact name="Events">{run.latest_event_id}</Fact>
        {run.created_by ? <Fact name="Started by">{run.created_by}</Fact> : null}
        <Family run={run} />
      </dl>
      {run.error ? (
        <p role="status" className="rounded-md bg-bad-soft px-3 py-2 text-sm break-words text-bad">
          {run.error.code ? <span className="mr-2 font-mono text-xs">{run.error.code}</span> : null}
          {run.error.message}
        </p>
      ) : null}
    </header>
  );
}

function tookText(run: Run, now: number): string {
  if (run.started_at === null) return "not started";
  return duration(
    (run.completed_at === null ? now : Date.parse(run.completed_at)) - Date.parse(run.started_at),
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="flex items-baseline gap-1.5">
      <dt className="text-muted first-letter:uppercase">{name}</dt>
      <dd className="max-w-64 truncate font-medium">{children}</dd>
    </div>
  );
}

const CHILDREN_SHOWN = 8;

/** The run that started this one, and those that this one started. */
function Family({ run }: { run: Run }) {
  const { data: children } = useQuery({
    queryKey: ["run", run.run_id, "children", run.latest_event_id],
    queryFn: ({ signal }) =>
      call("get", "/runs", { query: { parent: run.run_id, limit: CHILDREN_SHOWN + 1 }, signal }),
    placeholderData: (before) => before,
  });
  const shown = children?.data.slice(0, CHILDREN_SHOWN) ?? [];
  return (
    <>
      {run.parent_run_id ? (
        <Fact name="Parent">
          <RunLink runId={run.parent_run_id}>
            <CornerLeftUp aria-hidden="true" className="size-3" />
          </RunLink>
        </Fact>
      ) : null}
      {shown.length > 0 ? (
        <Fact name="Children">
          <span className="flex flex-wrap gap-x-2">
            {shown.map((child) => (
              <RunLink key={child.run_id} runId={child.run_id} />
            ))}
            {(children?.data.length ?? 0) > CHILDREN_SHOWN ? "…" : null}
          </span>
        </Fact>
      ) : null}
    </>
  );
}

function RunLink({ runId, children }: { runId: string; children?: ReactNode }) {
  return (
    <Link
      to="/runs/$runId"
      params={{ runId }}
      className="inline-flex max-w-48 items-center gap-1 truncate font-mono text-accent-ink hover:underline"
    >
      {children}
      {runId}
    </Link>
  );
}
