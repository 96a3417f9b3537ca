import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef } from "react";
import { urlOf } from "@/api/client";
import { Gathering, type Pace } from "@/api/gather";
import { type Frame, follow } from "@/api/sse";
import { useStore } from "@/api/store";
import type { Run } from "@/api/types";
import type { RunFilters } from "./filters";
import { type FeedState, RunFeed } from "./RunFeed";
import { fitsFilters, fromRun, type RunRow, rowsFor } from "./rows";

/** The search knows of a change within about a second of it; the activity need not be told of each. */
const SETTLED_MS = 1_500;
const PACE: Pace = { quiet: 20, most: 100 };

export const ACTIVITY_KEY = "activity";

export interface LiveRuns extends FeedState {
  grow: () => void;
  refresh: () => void;
}

/** The runs that fit the filters, kept up to date by the feed of the project. */
export function useRunFeed(project: string | undefined, filters: RunFilters): LiveRuns {
  const client = useQueryClient();
  const key = JSON.stringify(filters);
  const feed = useMemo(() => {
    const wanted = JSON.parse(key) as RunFilters;
    return new RunFeed(rowsFor(wanted), (row) => fitsFilters(wanted, row));
  }, [key]);
  const searching = filters.q !== undefined;
  // The newest are shown before the feed is there; after its `Ready` they are read again.
  const first = useRef(Promise.resolve());
  useEffect(() => {
    first.current = feed.reload();
  }, [feed]);
  useEffect(() => {
    if (project === undefined) return;
    const stop = new AbortController();
    const settle = later(() => {
      if (searching) void feed.reload();
      void client.invalidateQueries({ queryKey: [ACTIVITY_KEY] });
    });
    const take = (frames: Frame[]): void => {
      // After `Ready` nothing is missed: what the list holds from then on and what is told make the whole.
      if (frames.some((frame) => frame.event === "Ready" || frame.event === "Missed"))
        void first.current.then(() => feed.reload());
      const moves = frames.map(moveOf).filter((move) => move !== null);
      // What a run says cannot be told from a frame: the search finds new ones.
      feed.tell(searching ? moves.filter(([id]) => feed.has(id)) : moves);
      if (moves.length > 0) settle.soon();
    };
    // A project may have thousands of moves in a second; the page is drawn some ten times.
    const coming = new Gathering<Frame>(take, () => PACE);
    void follow({
      url: urlOf("/projects/{ref}/runs/stream", { ref: project }),
      after: "0",
      onFrames: (frames) => coming.add(frames),
      isLast: () => false,
      endless: true,
      onState: (state, error) => state === "failed" && feed.fail(error),
      signal: stop.signal,
    });
    return () => {
      stop.abort();
      coming.stop();
      settle.never();
    };
  }, [client, feed, project, searching]);
  const refresh = useCallback(() => void feed.reload(), [feed]);
  const grow = useCallback(() => void feed.grow(), [feed]);
  return { ...useStore(feed.state), grow, refresh };
}

function moveOf(frame: Frame): readonly [string, RunRow | null] | null {
  if (frame.event === "Run") {
    const row = fromRun(JSON.parse(frame.data) as Run);
    return [row.id, row];
  }
  if (frame.event === "RunDeleted") return [(JSON.parse(frame.data) as { run_id: string }).run_id, null];
  return null;
}

/** Do something a while after it was asked for, once for all who ask meanwhile. */
function later(what: () => void): { soon: () => void; never: () => void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return {
    soon: () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        what();
      }, SETTLED_MS);
    },
    never: () => clearTimeout(timer),
  };
}
