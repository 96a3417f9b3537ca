// A run as it was at an event of its log.

import type { Run } from "@/api/types";
import { customOf, isObject, type LogEvent } from "@/log/event";

type Past = Pick<
  Run,
  "status" | "attempt" | "cancelling" | "error" | "started_at" | "completed_at" | "waiting_reason" | "waiting"
>;

/** What is known of the run after these events, its first ones; of the rest of it (what it was asked for) nothing changes. */
export function runAsOf(run: Run, events: readonly LogEvent[]): Run {
  const past: Past = {
    status: "pending",
    attempt: 0,
    cancelling: false,
    error: null,
    started_at: null,
    completed_at: null,
    waiting_reason: null,
    waiting: null,
  };
  for (const event of events) STEPS[event.type]?.(past, event);
  const last = events.at(-1);
  const ended = past.completed_at !== null;
  const duration =
    ended && past.started_at && past.completed_at
      ? Date.parse(past.completed_at) - Date.parse(past.started_at)
      : null;
  const then: Run = {
    ...run,
    ...past,
    latest_event_id: last?.id ?? 0,
    updated_at: isoOf(last) ?? run.created_at,
    duration_ms: duration,
    exit_code: ended ? run.exit_code : null,
  };
  if (!ended || run.completed_at !== past.completed_at) delete then.output;
  return then;
}

const STEPS: Record<string, (past: Past, event: LogEvent) => void> = {
  RUN_STARTED: (past, event) => began(past, Math.max(past.attempt, 1), event),
  RUN_FINISHED: (past, event) => end(past, "completed", event),
  RUN_ERROR: (past, event) => {
    const { code, message } = event.payload;
    end(past, code === "CANCELLED" ? "cancelled" : "failed", event);
    past.error = { message: String(message ?? ""), ...(typeof code === "string" ? { code } : {}) };
  },
  CUSTOM: (past, event) => {
    const custom = customOf(event);
    if (custom) SAID[custom.name]?.(past, custom.value, event);
  },
};

const SAID: Record<string, (past: Past, value: Record<string, unknown>, event: LogEvent) => void> = {
  "perdure.run.attempt": (past, value, event) => began(past, Number(value.attempt), event),
  "perdure.run.waiting": (past, value) => {
    past.status = "waiting";
    past.waiting_reason = value.reason as Past["waiting_reason"];
    past.waiting = { reason: value.reason, calls: openCalls(value.calls) } as Past["waiting"];
  },
  "perdure.run.yielded": rest,
  "perdure.run.restarted": (past) => {
    rest(past);
    past.error = null;
    past.completed_at = null;
    past.cancelling = false;
  },
  "perdure.run.cancelling": (past) => {
    past.cancelling = true;
  },
};

function began(past: Past, attempt: number, event: LogEvent): void {
  rest(past);
  past.status = "running";
  past.attempt = attempt;
  past.started_at ??= isoOf(event);
}

function rest(past: Past): void {
  past.status = "pending";
  past.waiting_reason = null;
  past.waiting = null;
}

function end(past: Past, status: Run["status"], event: LogEvent): void {
  rest(past);
  past.status = status;
  past.completed_at = isoOf(event);
}

function openCalls(calls: unknown): { tool_call_id: unknown; tool_name: unknown; reason: unknown }[] {
  return (Array.isArray(calls) ? calls : [])
    .filter(isObject)
    .map((call) => ({ tool_call_id: call.toolCallId, tool_name: call.toolCallName, reason: call.reason }));
}

function isoOf(event: LogEvent | undefined): string | null {
  return event === undefined ? null : new Date(event.at).toISOString();
}
