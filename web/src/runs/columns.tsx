import { Link } from "@tanstack/react-router";
import type { ComponentType } from "react";
import { isLive } from "@/api/runs";
import { Badge } from "@/design/Badge";
import { ago, count, duration, moment, roughly } from "@/design/format";
import { StatusChip } from "@/design/StatusChip";
import type { RunFilters } from "./filters";
import type { RunRow } from "./rows";
import type { Usage } from "./UsageFeed";

export interface CellProps {
  row: RunRow;
  /** The time that its ages are told at, milliseconds since 1970. */
  now: number;
  usage: Usage | undefined;
}

export interface Column {
  id: string;
  header: string;
  Cell: ComponentType<CellProps>;
  /** Class names: on which widths it is shown. */
  shown?: string;
}

export const COLUMNS: readonly Column[] = [
  { id: "status", header: "Status", Cell: Status },
  { id: "run", header: "Run", Cell: Name },
  { id: "kind", header: "Kind", Cell: ({ row }) => <Badge>{row.kind}</Badge>, shown: "hidden lg:block" },
  { id: "agent", header: "Agent or target", Cell: Agent, shown: "hidden md:block" },
  { id: "tags", header: "Tags", Cell: Tags, shown: "hidden xl:block" },
  { id: "by", header: "Started by", Cell: By, shown: "hidden 2xl:block" },
  { id: "tokens", header: "Tokens", Cell: Tokens, shown: "hidden text-right xl:block" },
  { id: "duration", header: "Duration", Cell: DurationBar, shown: "hidden md:block" },
  { id: "created", header: "Created", Cell: Created },
];

function Status({ row }: CellProps) {
  return <StatusChip status={row.status} detail={row.status === "waiting" ? row.waitsFor : null} />;
}

function Name({ row }: CellProps) {
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

function Agent({ row }: CellProps) {
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

function Tags({ row }: CellProps) {
  return (
    <span className="flex min-w-0 gap-1 overflow-hidden">
      {row.tags.map((tag) => (
        <Link key={tag} to="/runs" search={(old: RunFilters) => ({ ...old, tag })} className="shrink-0">
          <Badge>{tag}</Badge>
        </Link>
      ))}
    </span>
  );
}

function By({ row }: CellProps) {
  return (
    <span className="block truncate text-muted" title={row.startedBy ?? undefined}>
      {row.startedBy}
    </span>
  );
}

/** The tokens of a run's model calls, in and out. */
function Tokens({ usage }: CellProps) {
  if (!usage || (usage.input_tokens === null && usage.output_tokens === null))
    return <span className="text-faint">–</span>;
  const [into, out] = [usage.input_tokens ?? 0, usage.output_tokens ?? 0];
  return (
    <span className="text-muted" title={`${count(into)} in, ${count(out)} out`}>
      {roughly(into + out)}
    </span>
  );
}

export function tookOf(row: RunRow, now: number): number | null {
  if (row.startedAt === null) return null;
  return Math.max(0, (row.endedAt === null ? now : Date.parse(row.endedAt)) - Date.parse(row.startedAt));
}

/** The bar's length is a share of the longest duration in view, which the table says as `--longest`. */
function DurationBar({ row, now }: CellProps) {
  const took = tookOf(row, now);
  if (took === null) return <span className="text-faint">–</span>;
  const colour = row.status === "failed" ? "bg-bad" : isLive(row.status) ? "bg-running" : "bg-line-strong";
  return (
    <span className="flex items-center gap-2">
      <span aria-hidden="true" className="h-1 w-14 shrink-0 overflow-hidden rounded-full bg-sunken">
        <span
          className={`block h-full rounded-full ${colour}`}
          style={{ width: `max(2%, calc(100% * ${took} / var(--longest)))` }}
        />
      </span>
      <span className="truncate text-muted">{duration(took)}</span>
    </span>
  );
}

function Created({ row, now }: CellProps) {
  return (
    <time
      dateTime={row.createdAt}
      // Written when somebody points at it: of all in a row it takes longest.
      onPointerEnter={(event) => {
        event.currentTarget.title = moment(row.createdAt);
      }}
      className="block truncate text-muted"
    >
      {ago(row.createdAt, now)}
    </time>
  );
}
