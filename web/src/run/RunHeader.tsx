import { Link } from "@tanstack/react-router";
import { ChevronLeft } from "lucide-react";
import type { ReactNode } from "react";
import { isLive } from "@/api/runs";
import type { Run } from "@/api/types";
import { CopyButton } from "@/design/CodeBlock";
import { ago, duration, moment } from "@/design/format";
import { StatusChip } from "@/design/StatusChip";
import { useNow } from "@/hooks/useNow";
import { useLog } from "./events/log";
import { Family } from "./Family";
import { RunActions } from "./RunActions";
import { useAt } from "./useAt";
import { useShownRun } from "./useShownRun";

/** What the run is and how it stands where the page stands; its actions are about the run as it is now. */
export function RunHeader({ run: current }: { run: Run }) {
  const run = useShownRun() ?? current;
  const { at } = useAt();
  const { events } = useLog();
  const live = isLive(run.status);
  const clock = useNow(live && at === undefined);
  const now = at === undefined ? clock : (events.at(-1)?.at ?? clock);
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
          <RunActions run={current} />
        </div>
      </div>
      <dl className="flex flex-wrap gap-x-6 gap-y-1.5 text-xs">
        <Fact name={run.kind === "agent" ? "Agent" : run.kind}>{run.agent_id ?? run.target ?? "–"}</Fact>
        <Fact name="Attempt">{run.attempt}</Fact>
        <Fact name="Created">
          <time dateTime={run.created_at} title={moment(run.created_at)}>
            {ago(run.created_at, Math.max(now, Date.parse(run.created_at)))}
          </time>
        </Fact>
        <Fact name="Duration">{tookText(run, now)}</Fact>
        <Fact name="Events">{run.latest_event_id}</Fact>
        {run.created_by ? <Fact name="Started by">{run.created_by}</Fact> : null}
        <Scheduling run={run} now={now} />
        <Family run={current} />
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

/** What was asked for when the run was started, where that is not the usual. */
function Scheduling({ run, now }: { run: Run; now: number }) {
  return (
    <>
      {run.priority === 0 ? null : <Fact name="Priority">{run.priority}</Fact>}
      {run.run_after && Date.parse(run.run_after) > now ? (
        <Fact name="Not before">{moment(run.run_after)}</Fact>
      ) : null}
      {run.deadline ? <Fact name="Deadline">{moment(run.deadline)}</Fact> : null}
      {run.held_by ? (
        <Fact name="Held by">
          <Link
            to="/runs/$runId"
            params={{ runId: run.held_by }}
            className="font-mono text-accent-ink hover:underline"
          >
            {run.held_by}
          </Link>
        </Fact>
      ) : null}
    </>
  );
}
