import { describe, expect, it } from "vitest";
import type { LogEvent } from "@/log/event";
import { custom, log } from "@/log/example";
import { spansOf, withChildren, withModelCalls } from "./spans";

function told(events: LogEvent[]): string[] {
  return spansOf(events).map(
    ({ kind, name, start, end, status }) => `${kind} ${name} ${start}–${end ?? ""} ${status}`,
  );
}

describe("the spans of a log", () => {
  it("are attempts, and in them steps and calls of tools with their input and output", () => {
    const events = log(
      { type: "RUN_STARTED" },
      { type: "STEP_STARTED", stepName: "plan" },
      { type: "TOOL_CALL_START", toolCallId: "c", toolCallName: "look_up" },
      { type: "TOOL_CALL_ARGS", toolCallId: "c", delta: '{"city":' },
      { type: "TOOL_CALL_ARGS", toolCallId: "c", delta: '"Lisbon"}' },
      { type: "TOOL_CALL_END", toolCallId: "c" },
      { type: "TOOL_CALL_RESULT", toolCallId: "c", content: "[1]" },
      { type: "STEP_FINISHED", stepName: "plan" },
      { type: "RUN_FINISHED" },
    );
    expect(told(events)).toEqual([
      "attempt Attempt 1 1000–9000 done",
      "step plan 2000–8000 done",
      "tool look_up 3000–7000 done",
    ]);
    expect(spansOf(events)[2]).toMatchObject({ input: { city: "Lisbon" }, output: [1], event: 3 });
  });

  it("say what failed, was cancelled, and is open still", () => {
    const failed = { type: "TOOL_CALL_RESULT", toolCallId: "a", content: "no", isError: true };
    const events = log(
      { type: "RUN_STARTED" },
      { type: "TOOL_CALL_START", toolCallId: "a", toolCallName: "a" },
      failed,
      { type: "TOOL_CALL_START", toolCallId: "b", toolCallName: "b" },
      { type: "TOOL_CALL_RESULT", toolCallId: "b", content: "", cancelled: true },
      { type: "TOOL_CALL_START", toolCallId: "c", toolCallName: "c" },
    );
    expect(told(events)).toEqual([
      "attempt Attempt 1 1000– running",
      "tool a 2000–3000 failed",
      "tool b 4000–5000 cancelled",
      "tool c 6000– running",
    ]);
    expect(spansOf(events)[1]?.error).toBe("no");
    const ended = log(...events.map(({ payload }) => payload), { type: "RUN_ERROR", message: "m" });
    expect(told(ended).at(-1)).toBe("tool c 6000–7000 failed");
    const cancelled = log({ type: "RUN_STARTED" }, { type: "RUN_ERROR", code: "CANCELLED" });
    expect(told(cancelled)).toEqual(["attempt Attempt 1 1000–2000 cancelled"]);
  });

  it("are waits between attempts, and a lost attempt is one that failed", () => {
    const events = log(
      { type: "RUN_STARTED" },
      custom("perdure.run.waiting", { reason: "approval" }),
      custom("perdure.run.attempt", { attempt: 2 }),
      custom("perdure.run.yielded", { reason: "lease_expired" }),
      custom("perdure.run.attempt", { attempt: 3 }),
      custom("perdure.signal", { name: "go", payload: { a: 1 } }),
      { type: "RUN_FINISHED" },
    );
    expect(told(events)).toEqual([
      "attempt Attempt 1 1000–2000 done",
      "wait Waits for approval 2000–3000 done",
      "attempt Attempt 2 3000–4000 failed",
      "attempt Attempt 3 5000–7000 done",
      "signal Signal go 6000–6000 done",
    ]);
  });

  it("know a child's end from the tree of runs, and that only as far as the page stands", () => {
    const events = log({ type: "RUN_STARTED" }, custom("perdure.child.started", { runId: "r", target: "t" }));
    const child = {
      ...{ run_id: "r", name: "Child", agent_id: null, target: "t", status: "failed" },
      ...{ error: { message: "broken" }, created_at: new Date(2_100).toISOString() },
      ...{ started_at: null, completed_at: new Date(5_000).toISOString() },
    };
    const shown = (until: number): unknown => withChildren(spansOf(events), [child], until).at(-1);
    expect(shown(6_000)).toMatchObject({
      name: "Child",
      start: 2_000,
      end: 5_000,
      status: "failed",
      error: "broken",
    });
    expect(shown(4_000)).toMatchObject({ end: null, status: "running" });
  });

  it("have the calls of models between them, in the order in which they began", () => {
    const events = log(
      { type: "RUN_STARTED" },
      { type: "TOOL_CALL_START", toolCallId: "c", toolCallName: "c" },
    );
    const task = {
      ...{ activityId: "m", activityName: "gpt", status: "completed", error: null },
      ...{ started: new Date(1_500).toISOString(), completed: new Date(1_800).toISOString() },
      result: { input_tokens: 5, output_tokens: 2 },
    };
    const spans = withModelCalls(spansOf(events), [task, { ...task, started: null }], 9_000);
    expect(spans.map(({ kind }) => kind)).toEqual(["attempt", "model", "tool"]);
    expect(spans[1]).toMatchObject({
      start: 1_500,
      end: 1_800,
      tokens: { input: 5, output: 2 },
      status: "done",
    });
  });
});
