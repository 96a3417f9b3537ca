import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { PageHeader } from "@/app/PageHeader";
import { Button } from "@/design/Button";
import { Card } from "@/design/Card";
import { INPUT } from "@/design/Field";
import { count, duration } from "@/design/format";
import { Loaded } from "@/design/Loaded";
import { Table } from "@/design/Table";
import { ChartCard } from "./ChartCard";
import { RANGES, type Range, readUsage, spread, type Usage, type UsageFilters, useUsage } from "./figures";

export default function UsagePage() {
  const filters = readUsage(useSearch({ strict: false }) as Record<string, unknown>);
  const navigate = useNavigate();
  const set = (search: UsageFilters): void =>
    void navigate({ to: "/usage", search: search as never, replace: true });
  const query = useUsage(filters);
  return (
    <>
      <PageHeader
        title="Usage"
        note="of agents"
        actions={
          <div role="group" aria-label="Range of time" className="flex gap-1">
            {(Object.keys(RANGES) as Range[]).map((range) => (
              <Button
                key={range}
                tone={range === filters.range ? "plain" : "ghost"}
                aria-pressed={range === filters.range}
                onClick={() => set({ ...filters, range })}
              >
                {RANGES[range].label}
              </Button>
            ))}
          </div>
        }
      />
      <div className="min-h-0 flex-1 overflow-auto px-4 pb-6 sm:px-6">
        <Loaded query={query}>
          {(usage) => (
            <>
              <Narrow usage={usage} filters={filters} onChange={set} />
              <Tiles usage={usage} />
              <Charts usage={usage} range={filters.range} />
              <Parts usage={usage} />
            </>
          )}
        </Loaded>
      </div>
    </>
  );
}

interface NarrowProps {
  usage: Usage;
  filters: UsageFilters;
  onChange: (filters: UsageFilters) => void;
}

function Narrow({ usage, filters, onChange }: NarrowProps) {
  const choices = {
    agent: usage.options.agents.map((one) => one.id),
    model: [...new Set(usage.options.environmentModels.map((one) => one.modelId))],
  };
  return (
    <div className="mb-4 flex flex-wrap gap-2">
      {(["agent", "model"] as const).map((name) => (
        <select
          key={name}
          aria-label={name === "agent" ? "Agent" : "Model"}
          value={filters[name] ?? ""}
          onChange={(event) => {
            const { [name]: _, ...rest } = filters;
            onChange(event.target.value ? { ...rest, [name]: event.target.value } : rest);
          }}
          className={`${INPUT} w-auto max-w-56`}
        >
          <option value="">All {name}s</option>
          {choices[name].map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      ))}
    </div>
  );
}

function Tiles({ usage: { summary } }: { usage: Usage }) {
  const tiles = [
    ["Runs", count(summary.totalRuns)],
    ["Completed", count(summary.successfulRuns)],
    ["Failed or cancelled", count(summary.failedRuns)],
    ["Live", count(summary.ongoingRuns)],
    ["Tokens", count(summary.tokenUsage.totalTokens)],
    ["Duration, p95", duration(summary.p95RunDurationMs)],
  ] as const;
  return (
    <dl className="mb-4 grid grid-cols-2 gap-px overflow-hidden rounded-lg border border-line bg-line sm:grid-cols-3 xl:grid-cols-6">
      {tiles.map(([name, value]) => (
        <div key={name} className="bg-surface px-4 py-3">
          <dt className="text-xs text-muted">{name}</dt>
          <dd className="mt-0.5 text-lg font-semibold tracking-tight">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Charts({ usage, range }: { usage: Usage; range: Range }) {
  const charts = useMemo(() => {
    const runs = spread(usage, range, usage.runs.timeSeries, [(made) => made.count], 0);
    const errors = spread(usage, range, usage.errors.timeSeries, [(made) => made.metrics.errorCount], 0);
    const tokens = spread(
      usage,
      range,
      usage.tokens.timeSeries,
      [(made) => made.usage.inputTokens, (made) => made.usage.outputTokens],
      0,
    );
    // The server says 0 of a span in which nothing has ended.
    const times = [
      (made: { duration: { medianMs: number } }) => made.duration.medianMs || null,
      (made: { duration: { p95Ms: number } }) => made.duration.p95Ms || null,
      (made: { duration: { p99Ms: number } }) => made.duration.p99Ms || null,
    ];
    const took = (made: Usage["runs"]["timeSeries"]) => spread(usage, range, made, times as never, null);
    return [
      chart("Runs", runs, [["Runs", "--accent-ink"]], count),
      chart("Errors of model and tool calls", errors, [["Errors", "--bad"]], count),
      chart(
        "Tokens",
        tokens,
        [
          ["Input", "--running"],
          ["Output", "--good"],
        ],
        count,
      ),
      chart("Duration of runs", took(usage.runs.timeSeries), PERCENTILES, duration),
      chart("Duration of model calls", took(usage.calls.timeSeries), PERCENTILES, duration),
    ];
  }, [usage, range]);
  return (
    <div className="grid gap-4 lg:grid-cols-2 lg:[&>:last-child:nth-child(odd)]:col-span-2">
      {charts.map((one) => (
        <ChartCard key={one.label} {...one} />
      ))}
    </div>
  );
}

const PERCENTILES = [
  ["Median", "--good"],
  ["p95", "--waiting"],
  ["p99", "--bad"],
] as const;

function chart(
  label: string,
  { times, lines }: ReturnType<typeof spread>,
  named: readonly (readonly [string, string])[],
  format: (value: number) => string,
) {
  return {
    label,
    times,
    format,
    lines: named.map(([name, colour], at) => ({ label: name, colour, values: lines[at] ?? [] })),
  };
}

function Parts({ usage }: { usage: Usage }) {
  const tokensOf = new Map((usage.tokens.byDimension ?? []).map((one) => [one.dimension, one.usage]));
  const percent = (rate: number): string => `${Math.round(100 * rate)} %`;
  const timed = [
    { header: "Succeeded", numeric: true, cell: (one: TimedPart) => percent(one.successRate) },
    { header: "Median", numeric: true, cell: (one: TimedPart) => duration(one.duration.medianMs) },
    { header: "p95", numeric: true, cell: (one: TimedPart) => duration(one.duration.p95Ms) },
    { header: "p99", numeric: true, cell: (one: TimedPart) => duration(one.duration.p99Ms) },
  ];
  return (
    <div className="mt-4 grid gap-4 xl:grid-cols-2">
      <Card title="By agent" flush>
        <Table
          label="By agent"
          rows={usage.runs.byDimension ?? []}
          keyOf={(one) => one.dimension}
          columns={[
            { header: "Agent", cell: (one) => <span className="font-medium">{one.dimension}</span> },
            { header: "Runs", numeric: true, cell: (one) => count(one.count) },
            ...timed,
          ]}
        />
      </Card>
      <Card title="By model" flush>
        <Table
          label="By model"
          rows={usage.calls.byDimension ?? []}
          keyOf={(one) => one.dimension}
          columns={[
            { header: "Model", cell: (one) => <span className="font-medium">{one.dimension}</span> },
            { header: "Calls", numeric: true, cell: (one) => count(one.count) },
            {
              header: "Tokens in",
              numeric: true,
              cell: (one) => count(tokensOf.get(one.dimension)?.inputTokens ?? 0),
            },
            {
              header: "Tokens out",
              numeric: true,
              cell: (one) => count(tokensOf.get(one.dimension)?.outputTokens ?? 0),
            },
            ...timed,
          ]}
        />
      </Card>
    </div>
  );
}

type TimedPart = NonNullable<Usage["runs"]["byDimension"]>[number];
