// The log of a run as the page holds it: every public event, once, in order; it grows while the run goes on.
import { useEffect, useState } from "react";
import { urlOf } from "@/api/client";
import { type Frame, follow, type StreamState } from "@/api/sse";
import { Store, useStore } from "@/api/store";

export interface LogEvent {
  id: number;
  type: string;
  /** The event as the server sent it. */
  payload: Record<string, unknown>;
}

export interface Log {
  events: readonly LogEvent[];
  state: StreamState;
  error: unknown;
}

const LAST_TYPES = new Set(["RUN_FINISHED", "RUN_ERROR"]);

/** A run's log, followed from its beginning; `attempt` is the run's, since a restart makes an ended log go on. */
export function useLog(runId: string, attempt: number): Log {
  const [log, setLog] = useState(() => new Store<Log>({ events: [], state: "connecting", error: null }));
  const [followed, setFollowed] = useState(runId);
  if (followed !== runId) {
    setFollowed(runId);
    setLog(new Store<Log>({ events: [], state: "connecting", error: null }));
  }
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new attempt is why an ended log is followed again.
  useEffect(() => {
    const abort = new AbortController();
    void follow({
      url: urlOf("/runs/{run_id}/stream", { run_id: runId }),
      after: String(log.get().events.at(-1)?.id ?? 0),
      onFrames: (frames) => log.set({ ...log.get(), events: log.get().events.concat(frames.map(eventOf)) }),
      onState: (state, error = null) => log.set({ ...log.get(), state, error }),
      isLast: (frame) => LAST_TYPES.has(eventOf(frame).type),
      signal: abort.signal,
    });
    return () => abort.abort();
  }, [log, runId, attempt]);
  return useStore(log);
}

function eventOf(frame: Frame): LogEvent {
  const payload = JSON.parse(frame.data) as Record<string, unknown>;
  return { id: Number(frame.id), type: String(payload.type), payload };
}
