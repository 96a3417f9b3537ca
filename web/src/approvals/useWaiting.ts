// What waits for a person: tool calls that need approval or a result, and open input requests, of all runs of the project.
// It is asked for again and again instead of streamed: a browser has six connections to a server, for all of its tabs.

import { useQuery } from "@tanstack/react-query";
import { INPUTS_KEY, RUNS_KEY } from "@/api/cached";
import { call } from "@/api/client";
import type { Answer, RunPage } from "@/api/types";
import { useProject } from "@/app/identity";

export type WaitingRun = RunPage["data"][number];
export type WaitingCall = NonNullable<WaitingRun["waiting"]>["calls"][number];
export type InputRequest = Answer<"/projects/{ref}/input-requests", "get">["data"][number];

/** One question to a person. `key` stays while it is open. */
export type Question =
  | { kind: "call"; key: string; askedAt: string; run: WaitingRun; call: WaitingCall }
  | { kind: "input"; key: string; askedAt: string; request: InputRequest };

export interface Waiting {
  /** Oldest first: who waits longest comes first. */
  questions: readonly Question[];
  ready: boolean;
  /** More runs or requests wait than were read. */
  more: boolean;
  error: unknown;
  refetch: () => void;
}

const PAGE = 200;
/** More questions than this nobody has in view. */
const MOST = 1_000;

/** `every`: how often to look, in milliseconds, while the page is visible. */
export function useWaiting(every: number): Waiting {
  const project = useProject();
  const runs = useQuery({
    queryKey: RUNS_KEY,
    queryFn: ({ signal }) =>
      allOf((cursor) =>
        call("get", "/runs", {
          query: { waiting_reason: ["tool", "approval"], limit: PAGE, ...cursor },
          signal,
        }),
      ),
    refetchInterval: every,
  });
  const inputs = useQuery({
    queryKey: [...INPUTS_KEY, project?.id],
    queryFn: ({ signal }) =>
      allOf((cursor) =>
        call("get", "/projects/{ref}/input-requests", {
          path: { ref: String(project?.id) },
          query: { limit: PAGE, ...cursor },
          signal,
        }),
      ),
    enabled: project !== undefined,
    refetchInterval: every,
  });
  return {
    questions: questionsOf(runs.data?.found ?? [], inputs.data?.found ?? []),
    ready: runs.data !== undefined && inputs.data !== undefined,
    more: Boolean(runs.data?.more || inputs.data?.more),
    error: runs.error ?? inputs.error,
    refetch: () => {
      void runs.refetch();
      void inputs.refetch();
    },
  };
}

interface Page<T> {
  data: readonly T[];
  page_info: { next: string | null };
}

/** All pages of a list, at most MOST things of them; `more`: there are others. */
async function allOf<T>(
  read: (cursor: { cursor?: string }) => Promise<Page<T>>,
): Promise<{ found: T[]; more: boolean }> {
  const found: T[] = [];
  let next: string | null = null;
  do {
    const page: Page<T> = await read(next === null ? {} : { cursor: next });
    found.push(...page.data);
    next = page.page_info.next;
  } while (next !== null && found.length < MOST);
  return { found, more: next !== null };
}

/** Calls that wait for a person, and input requests; an input request stands for the call that it was asked for. */
export function questionsOf(runs: readonly WaitingRun[], inputs: readonly InputRequest[]): Question[] {
  const asked = new Set(inputs.map((request) => `${request.run_id} ${request.tool_call_id}`));
  const calls = runs.flatMap((run) =>
    (run.waiting?.calls ?? [])
      .filter((one) => !asked.has(`${run.run_id} ${one.tool_call_id}`))
      .map((one): Question => {
        const key = `${run.run_id} ${one.tool_call_id}`;
        return { kind: "call", key, askedAt: run.updated_at, run, call: one };
      }),
  );
  const requests = inputs
    .filter((request) => request.requested_responder_type === "human")
    .map((request): Question => ({ kind: "input", key: request.id, askedAt: request.created_at, request }));
  return [...calls, ...requests].sort((one, other) => one.askedAt.localeCompare(other.askedAt));
}
