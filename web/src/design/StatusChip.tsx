import type { RunStatus } from "@/api/types";
import { Badge, type Tone } from "./Badge";
import { cx } from "./cx";

const TONES: Record<RunStatus, Tone> = {
  pending: "neutral",
  running: "running",
  waiting: "waiting",
  completed: "good",
  failed: "bad",
  cancelled: "neutral",
};

const LABELS: Record<RunStatus, string> = {
  pending: "Pending",
  running: "Running",
  waiting: "Waiting",
  completed: "Completed",
  failed: "Failed",
  cancelled: "Cancelled",
};

export interface StatusChipProps {
  status: RunStatus;
  /** Said beside the status, such as what a waiting run waits for. */
  detail?: string | null | undefined;
}

export function StatusChip({ status, detail }: StatusChipProps) {
  return (
    <Badge tone={TONES[status]}>
      <span
        aria-hidden="true"
        className={cx(
          "size-1.5 rounded-full",
          status === "pending" || status === "cancelled" ? "border border-current" : "bg-current",
          status === "running" && "breathing",
        )}
      />
      <span>{LABELS[status]}</span>
      {detail ? <span className="truncate">· {detail}</span> : null}
    </Badge>
  );
}
