// From what the form holds to POST /runs.
import { call } from "@/api/client";
import type { Answer, Body, Query } from "@/api/types";

export type Entry = Answer<"/catalog", "get">["data"][number];

export interface Options {
  /** From -100 to 100, as it is written. */
  priority: string;
  /** Local times of `datetime-local`. */
  runAfter: string;
  deadline: string;
}

export interface Start {
  entry: Entry;
  projectId: string;
  /** What the user says; of agents only. */
  message: string;
  input: Record<string, unknown>;
  options: Options;
}

/** Start a run and answer its id. Throws Problem and Unreachable. */
export async function startRun(start: Start): Promise<string> {
  const answer = await call("post", "/runs", { body: bodyOf(start), query: queryOf(start.options) });
  return answer.run.run_id;
}

function bodyOf({ entry, projectId, message, input }: Start): Body<"/runs", "post"> {
  const owner = { kind: "project" as const, id: projectId };
  const target = `${entry.kind}:${entry.name}`;
  // The generated types take an object that may hold anything for one that holds nothing.
  const given = input as Record<string, never>;
  switch (entry.kind) {
    case "agent": {
      const before = Array.isArray(input.messages) ? input.messages : [];
      const said = message === "" ? [] : [{ role: "user", content: message }];
      const context = { project_id: null, branch_id: null };
      const whole = { context, ...input, messages: [...before, ...said] };
      return { kind: "agent", owner, request: { mode: "agent", agent_id: entry.name, input: whole } };
    }
    case "workflow":
      return { kind: "workflow", owner, request: { workflow_id: entry.name, target, input: given } };
    case "task":
      return { kind: "task", owner, request: { target, config: given } };
    case "eval":
      return { kind: "eval", owner, request: { target, config: given } };
  }
}

function queryOf({ priority, runAfter, deadline }: Options): Query<"/runs", "post"> {
  return {
    ...(priority ? { priority: Number(priority) } : {}),
    ...(runAfter ? { run_after: new Date(runAfter).toISOString() } : {}),
    ...(deadline ? { deadline: new Date(deadline).toISOString() } : {}),
  };
}
