// The figures of the server's analytics (docs/agent-runs-api.md), over a range of time that stands in the URL. Its routes
// are described as free objects, so what is read of them is written down here.
import { keepPreviousData, type UseQueryResult, useQuery } from "@tanstack/react-query";
import { call } from "@/api/client";

export const RANGES = {
  "1h": { label: "Hour", milliseconds: 3_600_000, resolution: "minute", step: 1, stepMs: 60_000 },
  "24h": { label: "Day", milliseconds: 86_400_000, resolution: "hour", step: 1, stepMs: 3_600_000 },
  "7d": { label: "Week", milliseconds: 604_800_000, resolution: "hour", step: 6, stepMs: 21_600_000 },
  "30d": { label: "Month", milliseconds: 2_592_000_000, resolution: "day", step: 1, stepMs: 86_400_000 },
} as const;

export type Range = keyof typeof RANGES;

export interface UsageFilters {
  range: Range;
  agent?: string;
  model?: string;
}

/** What of a URL's search means something here. */
export function readUsage(search: Record<string, unknown>): UsageFilters {
  const said = (name: string): string | undefined => {
    const value = search[name];
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const [agent, model] = [said("agent"), said("model")];
  const range = Object.keys(RANGES).find((one) => one === search.range) as Range | undefined;
  return { range: range ?? "24h", ...(agent ? { agent } : {}), ...(model ? { model } : {}) };
}

interface Times {
  avgMs: number;
  medianMs: number;
  p95Ms: number;
  p99Ms: number;
}

interface Counted {
  count: number;
  successRate: number;
}

type Timed = Counted & { duration: Times };
type Spanned<T> = T & { timestamp: string };
type Named<T> = T & { dimension: string };

interface Measured<T> {
  timeSeries?: Spanned<T>[];
  byDimension?: Named<T>[];
}

export interface Usage {
  from: number;
  summary: {
    totalRuns: number;
    successfulRuns: number;
    failedRuns: number;
    ongoingRuns: number;
    tokenUsage: { totalTokens: number };
    avgRunDurationMs: number;
    p95RunDurationMs: number;
    totalLlmCalls: number;
  };
  runs: Measured<Timed>;
  calls: Measured<Timed>;
  tokens: Measured<{ usage: { inputTokens: number; outputTokens: number }; callCount: number }>;
  errors: Measured<{ metrics: { errorCount: number; totalCount: number } }>;
  options: { agents: { id: string }[]; environmentModels: { modelId: string }[] };
}

const READ_MS = 15_000;
const ANALYTICS = "/api/v1/agents/analytics";

export function useUsage(filters: UsageFilters): UseQueryResult<Usage> {
  const { range, agent, model } = filters;
  return useQuery({
    queryKey: ["usage", range, agent, model],
    placeholderData: keepPreviousData,
    refetchInterval: READ_MS,
    queryFn: async ({ signal }): Promise<Usage> => {
      const { milliseconds, resolution, step } = RANGES[range];
      const from = Date.now() - milliseconds;
      const body = {
        from,
        filter: { ...(agent ? { agents: [agent] } : {}), ...(model ? { models: [model] } : {}) },
      };
      const spans = { ...body, resolution, resolutionStep: step };
      const [summary, runs, calls, tokens, errors, options] = await Promise.all([
        call("post", `${ANALYTICS}/summary`, { body, signal }),
        call("post", `${ANALYTICS}/latency/agents`, { body: { ...spans, groupBy: "agent" }, signal }),
        call("post", `${ANALYTICS}/latency/llm`, { body: { ...spans, groupBy: "model" }, signal }),
        call("post", `${ANALYTICS}/tokens`, { body: { ...spans, groupBy: "model" }, signal }),
        call("post", `${ANALYTICS}/errors`, { body: { ...spans, groupBy: "agent" }, signal }),
        call("post", `${ANALYTICS}/filter-options`, { body: { from }, signal }),
      ]);
      const answer: unknown = { from, ...summary, runs, calls, tokens, errors, options };
      return answer as Usage;
    },
  });
}

/** A value for every span of the range; `none` where nothing happened in it. Times are seconds since 1970. */
export function spread<T>(
  usage: Usage,
  range: Range,
  series: readonly Spanned<T>[] | undefined,
  values: readonly ((point: T) => number | null)[],
  none: number | null,
): { times: number[]; lines: (number | null)[][] } {
  const { milliseconds, stepMs } = RANGES[range];
  const first = Math.floor(usage.from / stepMs) * stepMs;
  const spans = Math.ceil(milliseconds / stepMs) + 1;
  const lines = values.map(() => new Array<number | null>(spans).fill(none));
  for (const point of series ?? []) {
    const at = Math.floor((Date.parse(point.timestamp) - first) / stepMs);
    if (at < 0 || at >= spans) continue;
    values.forEach((value, line) => {
      const drawn = lines[line];
      if (drawn) drawn[at] = value(point);
    });
  }
  return { times: Array.from({ length: spans }, (_, at) => (first + at * stepMs) / 1_000), lines };
}
