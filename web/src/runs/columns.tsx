import { Link } from "@tanstack/react-router";
import { createColumnHelper, tableFeatures } from "@tanstack/react-table";
import { Badge } from "@/design/Badge";
import { ago, count, duration, moment, roughly } from "@/design/format";
import { StatusChip } from "@/design/StatusChip";
import type { RunFilters } from "./filters";
import { isLive, type RunRow } from "./rows";
import { type UsageSource, useUsage } from "./usage";

export const features = tableFeatures({});

/** What the cells of all rows share. */
export interface Shown {
  now: number;
  /** The longest duration in view, milliseconds. */
  longest: number;
}

const helper = createColumnHelper<typeof features, RunRow>();

export const COLUMNS = helper.columns([
  helper.display({ id: "status", header: "Status", cell: ({ row }) => <Status row={row.original} /> }),
  helper.display({ id: "run", header: "Run", cell: ({ row }) => <Name row={row.original} /> }),
  helper.display({ id: "kind", header: "Kind", cell: ({ row }) => <Badge>{row.original.kind}</Badge> }),
  helper.display({ id: "agent", header: "Agent or target", cell: ({ row }) => <Agent row={row.original} /> }),
  helper.display({ id: "tags", header: "Tags", cell: ({ row }) => <Tags tags={row.original.tags} /> }),
  helper.display({
    id: "by",
    header: "Started by",
    cell: ({ row }) => <By subject={row.original.startedBy} />,
  }),
]);

function Status({ row }: { row: RunRow }) {
  return <StatusChip status={row.status} detail={row.status === "waiting" ? row.waitsFor : null} />;
}

function Name({ row }: { row: RunRow }) {
  return (
    <span className="flex min-w-0 items-baseline gap-2">
      <Link
        to="/runs/$runId"
        params={{ runId: row.id }}
        className="truncate font-mono text-xs hover:underline"
      >
        {row.id}
      </Link>
      {row.attempt > 1 ? <span className="shrink-0 text-xs text-muted">attempt {row.attempt}</span> : null}
      {row.error ? <span className="hidden truncate text-xs text-bad lg:inline">{row.error}</span> : null}
    </span>
  );
}

function Agent({ row }: { row: RunRow }) {
  if (row.kind !== "agent" || row.agent === null) return <span className="block truncate">{row.agent}</span>;
  return (
    <Link
      to="/runs"
      search={(old: RunFilters) => ({ ...old, agent: row.agent ?? "" })}
      className="block truncate hover:underline"
    >
      {row.agent}
    </Link>
  );
}

function Tags({ tags }: { tags: readonly string[] }) {
  return (
    <span className="flex min-w-0 gap-1 overflow-hidden">
      {tags.map((tag) => (
        <Link key={tag} to="/runs" search={(old: RunFilters) => ({ ...old, tag })} className="shrink-0">
          <Badge>{tag}</Badge>
        </Link>
      ))}
    </span>
  );
}

function By({ subject }: { subject: string | null }) {
  return (
    <span className="block truncate text-muted" title={subject ?? undefined}>
      {subject}
    </span>
  );
}

export function tookOf(row: RunRow, now: number): number | null {
  if (row.startedAt === null) return null;
  return Math.max(0, (row.endedAt === null ? now : Date.parse(row.endedAt)) - Date.parse(row.startedAt));
}

export function DurationBar({ row, shown }: { row: RunRow; shown: Shown }) {
  const took = tookOf(row, shown.now);
  if (took === null) return <span className="text-faint">–</span>;
  const share = shown.longest > 0 ? Math.max(2, Math.round((100 * took) / shown.longest)) : 0;
  const colour = row.status === "failed" ? "bg-bad" : isLive(row.status) ? "bg-running" : "bg-line-strong";
  return (
    <span className="flex items-center gap-2">
      <span aria-hidden="true" className="h-1 w-14 shrink-0 overflow-hidden rounded-full bg-sunken">
        <span className={`block h-full rounded-full ${colour}`} style={{ width: `${share}%` }} />
      </span>
      <span className="truncate text-muted">{duration(took)}</span>
    </span>
  );
}

/** The tokens of a run's model calls, in and out. */
export function Tokens({ row, source }: { row: RunRow; source: UsageSource | undefined }) {
  const usage = useUsage(source, row);
  if (!usage || (usage.input_tokens === null && usage.output_tokens === null))
    return <span className="text-faint">–</span>;
  const [into, out] = [usage.input_tokens ?? 0, usage.output_tokens ?? 0];
  return (
    <span className="text-muted" title={`${count(into)} in, ${count(out)} out`}>
      {roughly(into + out)}
    </span>
  );
}

export function Created({ row, now }: { row: RunRow; now: number }) {
  return (
    <time dateTime={row.createdAt} title={moment(row.createdAt)} className="truncate text-muted">
      {ago(row.createdAt, now)}
    </time>
  );
}
