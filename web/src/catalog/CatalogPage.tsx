import { useQuery } from "@tanstack/react-query";
import { LayoutGrid, Play, Search } from "lucide-react";
import { lazy, Suspense, useRef, useState } from "react";
import { call } from "@/api/client";
import { KINDS } from "@/api/runs";
import { PageHeader } from "@/app/PageHeader";
import { SteerButton } from "@/app/SteerButton";
import { Badge } from "@/design/Badge";
import { CodeBlock } from "@/design/CodeBlock";
import { Input } from "@/design/Field";
import { ago } from "@/design/format";
import { Loaded } from "@/design/Loaded";
import { EmptyState } from "@/design/states";
import { useHotkeys } from "@/hooks/useHotkeys";
import { useNow } from "@/hooks/useNow";
import type { Entry } from "./start";

const READ_MS = 5_000;
const StartDialog = lazy(() => import("./StartDialog").then((module) => ({ default: module.StartDialog })));

export default function CatalogPage() {
  const query = useQuery({
    queryKey: ["catalog"],
    queryFn: ({ signal }) => call("get", "/catalog", { signal }),
    refetchInterval: READ_MS,
  });
  const [words, setWords] = useState("");
  const [starting, setStarting] = useState<Entry | null>(null);
  const box = useRef<HTMLInputElement>(null);
  useHotkeys({ "/": () => box.current?.focus() });
  const fits = (entry: Entry): boolean =>
    `${entry.name} ${entry.description ?? ""}`.toLowerCase().includes(words.trim().toLowerCase());
  return (
    <>
      <PageHeader
        title="Catalog"
        note={query.data ? `${query.data.data.length} to run` : undefined}
        actions={
          <div className="relative">
            <Search aria-hidden="true" className="absolute top-2 left-2.5 size-4 text-faint" />
            <Input
              ref={box}
              type="search"
              aria-label="Filter the catalog"
              placeholder="Filter"
              value={words}
              onChange={(event) => setWords(event.target.value)}
              className="w-40 pl-8 sm:w-56"
            />
          </div>
        }
      />
      <div className="min-h-0 flex-1 overflow-auto px-4 pb-6 sm:px-6">
        <Loaded query={query}>
          {({ data }) =>
            data.length === 0 ? (
              <NothingToRun />
            ) : (
              <Groups entries={data.filter(fits)} onStart={setStarting} />
            )
          }
        </Loaded>
      </div>
      <Suspense>
        {starting ? <StartDialog entry={starting} onClose={() => setStarting(null)} /> : null}
      </Suspense>
    </>
  );
}

function Groups({ entries, onStart }: { entries: readonly Entry[]; onStart: (entry: Entry) => void }) {
  const now = useNow(true, 5_000);
  if (entries.length === 0) return <EmptyState title="Nothing fits">Filter by other words.</EmptyState>;
  return KINDS.map((kind) => {
    const found = entries.filter((entry) => entry.kind === kind);
    if (found.length === 0) return null;
    return (
      <section key={kind} className="mb-6">
        <h2 className="mb-2 text-xs font-medium text-muted first-letter:uppercase">{kind}s</h2>
        <ul className="divide-y divide-line rounded-lg border border-line bg-surface">
          {found.map((entry) => (
            <Item key={entry.name} entry={entry} now={now} onStart={() => onStart(entry)} />
          ))}
        </ul>
      </section>
    );
  });
}

function Item({ entry, now, onStart }: { entry: Entry; now: number; onStart: () => void }) {
  const served = entry.workers.length;
  return (
    <li data-entry={`${entry.kind}:${entry.name}`} className="flex items-start gap-4 px-4 py-3">
      <div className="min-w-0 flex-1">
        <div className="flex flex-wrap items-center gap-x-2 gap-y-1">
          <h3 className="truncate font-mono text-sm font-semibold">{entry.name}</h3>
          {served > 0 ? (
            <Badge tone="good">
              {served} {served === 1 ? "worker" : "workers"}
            </Badge>
          ) : (
            <Badge tone="waiting">No worker, seen {ago(entry.last_seen_at, now)}</Badge>
          )}
          {entry.version ? <Badge>{entry.version}</Badge> : null}
          {entry.concurrency ? <Badge>{entry.concurrency} at once</Badge> : null}
        </div>
        {entry.description ? (
          <p className="mt-1 line-clamp-2 max-w-3xl text-sm text-muted">{entry.description}</p>
        ) : null}
      </div>
      <SteerButton aria-label={`Start ${entry.name}`} icon={<Play className="size-3.5" />} onClick={onStart}>
        Start
      </SteerButton>
    </li>
  );
}

function NothingToRun() {
  return (
    <EmptyState icon={<LayoutGrid className="size-6" />} title="Nothing to run yet">
      A worker publishes what it serves. Start one with your agents:
      <CodeBlock label="Command" code="perdure worker app.py" className="mt-3 min-w-72 text-left" />
    </EmptyState>
  );
}
