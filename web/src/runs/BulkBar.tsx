import { useState } from "react";
import { call } from "@/api/client";
import { isLive } from "@/api/runs";
import { SteerButton } from "@/app/SteerButton";
import { Button } from "@/design/Button";
import { Dialog } from "@/design/Dialog";
import { toast, toastError } from "@/design/Toast";
import type { RunRow } from "./rows";

const AT_ONCE = 6;
/** So many are listed before they are cancelled. */
const NAMED = 20;

export interface BulkBarProps {
  /** The selected rows. */
  rows: readonly RunRow[];
  onDone: () => void;
}

/** What can be done with the selected runs. */
export function BulkBar({ rows, onDone }: BulkBarProps) {
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  const live = rows.filter((row) => isLive(row.status));
  const cancel = async (): Promise<void> => {
    setBusy(true);
    try {
      const ended = await cancelAll(live.map((row) => row.id));
      toast(`${ended} of ${live.length} cancelled`);
    } catch (error) {
      toastError(error);
    } finally {
      setBusy(false);
      setAsking(false);
      onDone();
    }
  };
  if (rows.length === 0) return null;
  return (
    <div className="rising fixed bottom-4 left-1/2 z-20 flex -translate-x-1/2 items-center gap-3 rounded-lg border border-line bg-surface py-2 pr-2 pl-4 shadow-pop">
      <span className="whitespace-nowrap">{rows.length} selected</span>
      <Button tone="ghost" onClick={onDone}>
        Clear
      </Button>
      <SteerButton tone="danger" disabled={live.length === 0} onClick={() => setAsking(true)}>
        Cancel {live.length === 1 ? "run" : `${live.length} runs`}
      </SteerButton>
      <Dialog
        open={asking}
        onOpenChange={setAsking}
        title={`Cancel ${live.length === 1 ? "this run" : `these ${live.length} runs`}?`}
        description="They end where they are, with the runs that they have started. What they have written stays."
        actions={
          <>
            <Button onClick={() => setAsking(false)}>Keep running</Button>
            <Button tone="danger" busy={busy} onClick={cancel}>
              Cancel
            </Button>
          </>
        }
      >
        <ul className="flex flex-col gap-1 font-mono text-xs">
          {live.slice(0, NAMED).map((row) => (
            <li key={row.id} className="truncate">
              {row.id}
            </li>
          ))}
          {live.length > NAMED ? <li className="text-muted">and {live.length - NAMED} more</li> : null}
        </ul>
      </Dialog>
    </div>
  );
}

/** Cancel runs, a few at once; answers how many had not ended before. */
async function cancelAll(ids: readonly string[]): Promise<number> {
  const waiting = [...ids];
  let cancelled = 0;
  const work = async (): Promise<void> => {
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
      const answer = await call("post", "/runs/{run_id}/cancel", { path: { run_id: id }, body: {} });
      if (answer.cancelled) cancelled += 1;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return cancelled;
}
