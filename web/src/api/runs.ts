import type { RunKind, RunStatus } from "./types";

export const KINDS = ["agent", "workflow", "task", "eval"] as const satisfies readonly RunKind[];

/** Whether something may still happen to a run of this status. */
export function isLive(status: RunStatus): boolean {
  return status === "pending" || status === "running" || status === "waiting";
}
