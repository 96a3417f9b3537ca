import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Cpu } from "lucide-react";
import { call } from "@/api/client";
import type { Answer } from "@/api/types";
import { PageHeader } from "@/app/PageHeader";
import { Badge } from "@/design/Badge";
import { CodeBlock } from "@/design/CodeBlock";
import { ago, duration, moment } from "@/design/format";
import { Loaded } from "@/design/Loaded";
import { EmptyState } from "@/design/states";
import { useNow } from "@/hooks/useNow";

type Worker = Answer<"/workers", "get">["data"][number];

const READ_MS = 2_000;
/** A worker says every few seconds that it lives; one that was silent for so long may be gone. */
const STALE_MS = 30_000;
const LEASES_SHOWN = 12;

export default function WorkersPage() {
  const query = useQuery({
    queryKey: ["workers"],
    queryFn: ({ signal }) => call("get", "/workers", { signal }),
    refetchInterval: READ_MS,
  });
  const now = useNow(true);
  const workers = query.data?.data ?? [];
  const holding = workers.reduce((sum, worker) => sum + worker.holding, 0);
  return (
    <>
      <PageHeader
        title="Workers"
        note={
          query.data
            ? `${workers.length} at work, ${holding} ${holding === 1 ? "run" : "runs"} held`
            : undefined
        }
      />
      <div className="min-h-0 flex-1 overflow-auto px-4 pb-6 sm:px-6">
        <Loaded query={query}>
          {({ data }) =>
            data.length === 0 ? (
              <NoWorkers />
            ) : (
              <ul className="grid gap-4 xl:grid-cols-2">
                {data.map((worker) => (
                  <WorkerCard key={worker.id} worker={worker} now={now} />
                ))}
              </ul>
            )
          }
        </Loaded>
      </div>
    </>
  );
}

function WorkerCard({ worker, now }: { worker: Worker; now: number }) {
  const stale = now - Date.parse(worker.heartbeat_at) > STALE_MS;
  return (
    <li data-worker={worker.id} className="rounded-lg border border-line bg-surface p-4">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1.5">
        <h2 className="min-w-0 truncate font-mono text-sm font-semibold" title={worker.id}>
          {worker.name ?? worker.id}
        </h2>
        <Badge>{worker.sort}</Badge>
        {stale ? <Badge tone="bad">Stale</Badge> : <Badge tone="good">Alive</Badge>}
        <span className="ml-auto text-xs text-muted" title={moment(worker.heartbeat_at)}>
          heard of {ago(worker.heartbeat_at, now)}
        </span>
      </div>
      <dl className="mt-2 flex flex-wrap gap-x-6 gap-y-1 text-xs">
        <Fact name="Version">{worker.version ?? "–"}</Fact>
        <Fact name="Up">{duration(now - Date.parse(worker.started_at))}</Fact>
      </dl>
      <Load holding={worker.holding} concurrency={worker.concurrency} />
      <h3 className="mt-4 text-xs font-medium text-muted">Serves</h3>
      <ul className="mt-1.5 flex flex-wrap gap-1.5">
        {worker.serves.map((route) => (
          <li key={route} className="min-w-0">
            <Badge className="font-mono">{route}</Badge>
          </li>
        ))}
      </ul>
      <h3 className="mt-4 text-xs font-medium text-muted">Runs that it holds</h3>
      {worker.leases.length === 0 ? (
        <p className="mt-1.5 text-xs text-muted">None of this project.</p>
      ) : (
        <ul className="mt-1.5 flex flex-col gap-1">
          {worker.leases.slice(0, LEASES_SHOWN).map((lease) => (
            <li key={lease.run_id} className="flex items-baseline justify-between gap-3 text-xs">
              <Link
                to="/runs/$runId"
                params={{ runId: lease.run_id }}
                className="truncate font-mono text-accent-ink hover:underline"
              >
                {lease.run_id}
              </Link>
              <span className="shrink-0 text-muted" title={moment(lease.expires_at)}>
                fence {lease.fence}
              </span>
            </li>
          ))}
          {worker.leases.length > LEASES_SHOWN ? (
            <li className="text-xs text-muted">and {worker.leases.length - LEASES_SHOWN} more</li>
          ) : null}
        </ul>
      )}
    </li>
  );
}

function Fact({ name, children }: { name: string; children: string }) {
  return (
    <div className="flex gap-1.5">
      <dt className="text-muted">{name}</dt>
      <dd className="font-medium">{children}</dd>
    </div>
  );
}

function Load({ holding, concurrency }: { holding: number; concurrency: number | null }) {
  const share = concurrency ? Math.min(100, Math.round((100 * holding) / concurrency)) : 0;
  return (
    <div className="mt-3 flex items-center gap-3 text-xs">
      <span aria-hidden="true" className="h-1.5 flex-1 overflow-hidden rounded-full bg-sunken">
        <span className="block h-full rounded-full bg-running" style={{ width: `${share}%` }} />
      </span>
      <span className="shrink-0 text-muted">
        {holding} of {concurrency ?? "any number"} at once
      </span>
    </div>
  );
}

function NoWorkers() {
  return (
    <EmptyState icon={<Cpu className="size-6" />} title="No worker is running">
      Runs wait until one serves them. Start one with your agents:
      <CodeBlock label="Command" code="perdure worker app.py" className="mt-3 min-w-72 text-left" />
    </EmptyState>
  );
}
