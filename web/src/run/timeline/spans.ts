import { customOf, isObject, type LogEvent } from "@/log/event";
// A run's log as spans of time: attempts, and in them turns, steps, calls of tools and waits. Pure.

export type SpanKind =
  | "attempt"
  | "turn"
  | "step"
  | "model"
  | "tool"
  | "wait"
  | "child"
  | "subagent"
  | "signal";
export type SpanStatus = "running" | "done" | "failed" | "cancelled";

export interface Span {
  id: string;
  kind: SpanKind;
  name: string;
  /** Milliseconds since 1970; `end` null: it is open. */
  start: number;
  end: number | null;
  status: SpanStatus;
  /** The event that it begins with, where an event of the log tells of it. */
  event: number | null;
  input?: unknown;
  output?: unknown;
  error?: string;
  tokens?: Tokens;
  /** The run that it stands for. */
  runId?: string;
}

export interface Tokens {
  input?: number;
  output?: number;
}

/** The spans that these events tell of (a log from its beginning), in the order in which they began. */
export function spansOf(events: readonly LogEvent[]): Span[] {
  const reader = new Reader();
  for (const event of events) reader.read(event);
  return reader.spans;
}

class Reader {
  readonly spans: Span[] = [];
  readonly #open = new Map<string, Span>();
  readonly #arguments = new Map<string, string>();
  #now = 0;
  #id = 0;

  read(event: LogEvent): void {
    this.#now = event.at;
    this.#id = event.id;
    const custom = customOf(event);
    if (custom) SAID[custom.name]?.(this, custom.value);
    else READ[event.type]?.(this, event.payload);
  }

  begin(kind: SpanKind, key: string, name: string, more: Partial<Span> = {}): void {
    const span: Span = {
      id: `${kind}:${key}:${this.#id}`,
      kind,
      name,
      start: this.#now,
      end: null,
      status: "running",
      event: this.#id,
      ...more,
    };
    this.spans.push(span);
    this.#open.set(`${kind}:${key}`, span);
  }

  end(kind: SpanKind, key: string, status: SpanStatus = "done", more: Partial<Span> = {}): void {
    const span = this.#open.get(`${kind}:${key}`);
    if (span === undefined) return;
    Object.assign(span, more, { end: this.#now, status });
    this.#open.delete(`${kind}:${key}`);
  }

  attempt(number: number): void {
    this.endAll("cancelled", new Set(["attempt", "step"]));
    this.end("wait", "");
    this.begin("attempt", "", `Attempt ${number}`);
  }

  argue(call: string, delta: unknown): void {
    const text = (this.#arguments.get(call) ?? "") + (typeof delta === "string" ? delta : "");
    this.#arguments.set(call, text);
  }

  argued(call: string): void {
    const span = this.#open.get(`tool:${call}`);
    if (span) span.input = parsed(this.#arguments.get(call) ?? "");
  }

  /** End what is open; of some kinds only, where they are named. */
  endAll(status: SpanStatus, kinds?: ReadonlySet<string>, more: Partial<Span> = {}): void {
    for (const [key, span] of this.#open) {
      if (span.kind === "child" || (kinds && !kinds.has(span.kind))) continue;
      Object.assign(span, more, { end: this.#now, status });
      this.#open.delete(key);
    }
  }
}

type Members = Record<string, unknown>;

const READ: Record<string, (reader: Reader, payload: Members) => void> = {
  RUN_STARTED: (reader) => reader.attempt(1),
  RUN_FINISHED: (reader) => reader.endAll("done"),
  RUN_ERROR: (reader, { code, message }) =>
    reader.endAll(code === "CANCELLED" ? "cancelled" : "failed", undefined, { error: text(message) }),
  TOOL_CALL_START: (reader, { toolCallId, toolCallName }) =>
    reader.begin("tool", text(toolCallId), text(toolCallName)),
  TOOL_CALL_ARGS: (reader, { toolCallId, delta }) => reader.argue(text(toolCallId), delta),
  TOOL_CALL_END: (reader, { toolCallId }) => reader.argued(text(toolCallId)),
  TOOL_CALL_RESULT: (reader, { toolCallId, content, isError, cancelled }) => {
    const failed = isError === true ? { error: text(content) } : { output: parsed(text(content)) };
    reader.end(
      "tool",
      text(toolCallId),
      cancelled === true ? "cancelled" : isError === true ? "failed" : "done",
      failed,
    );
  },
  STEP_STARTED: (reader, { stepName }) => reader.begin("step", text(stepName), text(stepName)),
  STEP_FINISHED: (reader, { stepName }) => reader.end("step", text(stepName)),
  SUBAGENT_STARTED: (reader, payload) =>
    reader.begin("subagent", text(payload.subagentRunId), text(payload.name) || text(payload.subagentRunId)),
  SUBAGENT_FINISHED: (reader, payload) => reader.end("subagent", text(payload.subagentRunId)),
  SUBAGENT_ERROR: (reader, payload) =>
    reader.end("subagent", text(payload.subagentRunId), "failed", { error: text(payload.message) }),
};

const SAID: Record<string, (reader: Reader, value: Members) => void> = {
  "perdure.run.attempt": (reader, { attempt }) => reader.attempt(Number(attempt)),
  "perdure.run.waiting": (reader, value) => {
    reader.end("attempt", "");
    reader.begin("wait", "", `Waits for ${text(value.reason) || "something"}`, { input: value });
  },
  "perdure.run.yielded": (reader, { reason }) =>
    reader.end("attempt", "", "failed", { error: `Ended without a result: ${text(reason)}` }),
  "perdure.turn.started": (reader, { turn }) => reader.begin("turn", "", `Turn ${String(turn)}`),
  "perdure.turn.ended": (reader, { status, metadata }) =>
    reader.end("turn", "", status === "stopped" ? "cancelled" : "done", { output: metadata }),
  "perdure.child.started": (reader, { runId, target }) =>
    reader.begin("child", text(runId), text(target) || text(runId), { runId: text(runId) }),
  "perdure.signal": (reader, value) => {
    const key = String(reader.spans.length);
    reader.begin("signal", key, `Signal ${text(value.name)}`, { input: value.payload });
    reader.end("signal", key);
  },
};

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** JSON where it is some, else the text itself. */
function parsed(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

/** A child run, as the tree of runs has it. */
export interface Child {
  run_id: string;
  name: string | null;
  agent_id: string | null;
  target: string | null;
  status: string;
  error: { message: string } | null;
  created_at: string;
  started_at: string | null;
  completed_at: string | null;
}

const ENDED: Record<string, SpanStatus> = { completed: "done", failed: "failed", cancelled: "cancelled" };

/** The spans with those of child runs: some the log has told of, of others only the tree knows. */
export function withChildren(spans: readonly Span[], children: readonly Child[], until: number): Span[] {
  const known = new Map(children.map((child) => [child.run_id, child]));
  const told = spans.map((span) => {
    const child = span.runId === undefined ? undefined : known.get(span.runId);
    if (child === undefined) return span;
    known.delete(child.run_id);
    return { ...childSpan(child, until), id: span.id, start: span.start, event: span.event };
  });
  return inOrder([...told, ...[...known.values()].map((child) => childSpan(child, until))], until);
}

function childSpan(child: Child, until: number): Span {
  const ended = child.completed_at === null ? null : Date.parse(child.completed_at);
  const over = ended !== null && ended <= until;
  return {
    id: `child:${child.run_id}`,
    kind: "child",
    name: child.name ?? child.agent_id ?? child.target ?? child.run_id,
    start: Date.parse(child.started_at ?? child.created_at),
    end: over ? ended : null,
    status: over ? (ENDED[child.status] ?? "done") : "running",
    event: null,
    runId: child.run_id,
    ...(over && child.error ? { error: child.error.message } : {}),
  };
}

/** What a run did as its execution's history has it: of a model's calls no event of the log tells. */
export interface HistoryTask {
  activityId: string;
  activityName?: string;
  status: string;
  started: string | null;
  completed: string | null;
  error: string | null;
  input?: unknown;
  result: unknown;
}

const TASK_STATUS: Record<string, SpanStatus> = {
  running: "running",
  failed: "failed",
  canceled: "cancelled",
};

/** The spans with those of calls of models. */
export function withModelCalls(spans: readonly Span[], tasks: readonly HistoryTask[], until: number): Span[] {
  const calls = tasks.flatMap((task): Span[] => {
    if (task.started === null) return [];
    const end = task.completed === null ? null : Date.parse(task.completed);
    return [
      {
        id: `model:${task.activityId}`,
        kind: "model",
        name: task.activityName ?? "model",
        start: Date.parse(task.started),
        end,
        status: TASK_STATUS[task.status] ?? "done",
        event: null,
        ...(task.error === null ? {} : { error: task.error }),
        ...(isObject(task.result) ? { tokens: tokensOf(task.result) } : {}),
      },
    ];
  });
  return inOrder([...spans, ...calls], until);
}

function tokensOf({ input_tokens, output_tokens }: Members): Tokens {
  return {
    ...(typeof input_tokens === "number" ? { input: input_tokens } : {}),
    ...(typeof output_tokens === "number" ? { output: output_tokens } : {}),
  };
}

function inOrder(spans: Span[], until: number): Span[] {
  return spans.filter((span) => span.start <= until).sort((one, other) => one.start - other.start);
}
