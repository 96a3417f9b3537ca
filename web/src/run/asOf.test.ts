import { describe, expect, it } from "vitest";
import type { Run } from "@/api/types";
import { custom, log } from "@/log/example";
import { runAsOf } from "./asOf";

const RUN = {
  ...{ run_id: "r", status: "completed", attempt: 3, cancelling: false, error: null, exit_code: 0 },
  ...{ created_at: "1970-01-01T00:00:00.500Z", updated_at: "1970-01-01T00:00:09.000Z" },
  ...{ started_at: "1970-01-01T00:00:01.000Z", completed_at: "1970-01-01T00:00:09.000Z" },
  ...{ output: { answer: 42 }, tags: ["kept"], latest_event_id: 9 },
} as unknown as Run;

const STARTED = { type: "RUN_STARTED" };

describe("a run as it was", () => {
  it("waited for a worker before its first event", () => {
    const then = runAsOf(RUN, []);
    expect(then).toMatchObject({
      status: "pending",
      attempt: 0,
      started_at: null,
      latest_event_id: 0,
      tags: ["kept"],
    });
    expect(then).toMatchObject({ updated_at: RUN.created_at, exit_code: null, duration_ms: null });
    expect(then).not.toHaveProperty("output");
  });

  it("was executed, and says when it began at first", () => {
    const events = log(STARTED, custom("perdure.run.yielded"), custom("perdure.run.attempt", { attempt: 2 }));
    expect(runAsOf(RUN, events.slice(0, 1))).toMatchObject({ status: "running", attempt: 1 });
    expect(runAsOf(RUN, events.slice(0, 2))).toMatchObject({ status: "pending", attempt: 1 });
    expect(runAsOf(RUN, events)).toMatchObject({
      ...{ status: "running", attempt: 2, latest_event_id: 3 },
      started_at: "1970-01-01T00:00:01.000Z",
    });
  });

  it("waited for calls", () => {
    const call = { toolCallId: "c", toolCallName: "ask", reason: "approval", more: 1 };
    const waiting = custom("perdure.run.waiting", { reason: "approval", calls: [call, "odd"] });
    expect(runAsOf(RUN, log(STARTED, waiting))).toMatchObject({
      ...{ status: "waiting", waiting_reason: "approval" },
      waiting: { reason: "approval", calls: [{ tool_call_id: "c", tool_name: "ask", reason: "approval" }] },
    });
    const on = log(STARTED, waiting, custom("perdure.run.attempt", { attempt: 2 }));
    expect(runAsOf(RUN, on)).toMatchObject({ status: "running", waiting_reason: null, waiting: null });
  });

  it("has its output where it ended for the last time, and not where an earlier end was taken back", () => {
    const events = log(
      ...[STARTED, { type: "RUN_ERROR", message: "broken", code: "FAILED" }],
      ...[custom("perdure.run.restarted"), STARTED, STARTED, STARTED, STARTED, STARTED],
      { type: "RUN_FINISHED" },
    );
    const failed = runAsOf(RUN, events.slice(0, 2));
    expect(failed).toMatchObject({
      status: "failed",
      error: { message: "broken", code: "FAILED" },
      duration_ms: 1_000,
    });
    expect(failed).not.toHaveProperty("output");
    expect(runAsOf(RUN, events.slice(0, 3))).toMatchObject({
      status: "pending",
      error: null,
      completed_at: null,
    });
    expect(runAsOf(RUN, events)).toMatchObject({
      status: "completed",
      output: { answer: 42 },
      duration_ms: 8_000,
    });
  });

  it("was being cancelled, and then was", () => {
    const events = log(STARTED, custom("perdure.run.cancelling"), { type: "RUN_ERROR", code: "CANCELLED" });
    expect(runAsOf(RUN, events.slice(0, 2))).toMatchObject({ status: "running", cancelling: true });
    expect(runAsOf(RUN, events)).toMatchObject({
      status: "cancelled",
      error: { message: "", code: "CANCELLED" },
    });
  });
});
