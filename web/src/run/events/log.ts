// The log of a run as the page holds it: every public event, once, in order; it grows while the run goes on.
// The run page follows it once, for all of its tabs.
import { createContext, useContext, useEffect, useMemo, useRef, useState } from "react";
import { urlOf } from "@/api/client";
import { Gathering, type Pace } from "@/api/gather";
import { type Frame, follow, type StreamState } from "@/api/sse";
import { Store, useStore } from "@/api/store";
import type { Run } from "@/api/types";
import type { LogEvent } from "@/log/event";
import { useAt } from "../useAt";

export interface Log {
  events: readonly LogEvent[];
  state: StreamState;
  error: unknown;
}

const LAST_TYPES = new Set(["RUN_FINISHED", "RUN_ERROR"]);
const NOTHING: Log = { events: [], state: "connecting", error: null };

/** The whole log, for what is below the run page. */
export const LogContext = createContext<Log>(NOTHING);

/** While the page catches up with what is already written, it draws what has come once it is much. */
const CATCHING_UP: Pace = { quiet: 40, most: 1_000 };
const LIVE: Pace = { quiet: 16, most: 16 };

/** A run's log, followed from its beginning. A restart, which is a new attempt, makes an ended log go on. */
export function useFollowedLog(runId: string, run: Run | undefined): Log {
  const [log, setLog] = useState(() => new Store<Log>(NOTHING));
  const [followed, setFollowed] = useState(runId);
  if (followed !== runId) {
    setFollowed(runId);
    setLog(new Store<Log>(NOTHING));
  }
  const attempt = run?.attempt;
  const written = useRef(0);
  useEffect(() => {
    written.current = run?.latest_event_id ?? 0;
  });
  useEffect(() => {
    if (attempt === undefined) return;
    const abort = new AbortController();
    const coming = new Gathering<LogEvent>(
      (events) => log.set({ events: log.get().events.concat(events), state: "live", error: null }),
      (latest) => (latest.id < written.current ? CATCHING_UP : LIVE),
    );
    void follow({
      url: urlOf("/runs/{run_id}/stream", { run_id: runId }, { times: true }),
      after: String(log.get().events.at(-1)?.id ?? 0),
      onFrames: (frames) => coming.add(frames.map(eventOf)),
      onState: (state, error = null) => {
        // A log that has something is shown as soon as some of it is there: until then, the page says that it loads.
        if (state === "live" && log.get().events.length === 0 && written.current > 0) return;
        coming.flush();
        log.set({ ...log.get(), state, error });
      },
      isLast: (frame) => LAST_TYPES.has(eventOf(frame).type),
      signal: abort.signal,
    });
    return () => {
      abort.abort();
      coming.stop();
    };
  }, [log, runId, attempt]);
  return useStore(log);
}

/** All of the run's log that there is by now, wherever the page stands. */
export function useWholeLog(): Log {
  return useContext(LogContext);
}

/** The run's log up to where the page stands: what tabs show. */
export function useLog(): Log {
  const log = useWholeLog();
  const { at } = useAt();
  return useMemo(() => (at === undefined ? log : { ...log, events: eventsUntil(log.events, at) }), [log, at]);
}

/** The events up to and including the one with this id. */
export function eventsUntil(events: readonly LogEvent[], id: number): readonly LogEvent[] {
  return events.slice(0, countUntil(events, id));
}

/** How many events have this id or a lower one. */
export function countUntil(events: readonly LogEvent[], id: number): number {
  let low = 0;
  let high = events.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((events[middle]?.id ?? 0) <= id) low = middle + 1;
    else high = middle;
  }
  return low;
}

function eventOf(frame: Frame): LogEvent {
  const payload = JSON.parse(frame.data) as Record<string, unknown>;
  return { id: Number(frame.id), type: String(payload.type), at: frame.time ?? 0, payload };
}
