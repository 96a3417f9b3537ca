import { useCallback, useEffect, useMemo, useRef } from "react";
import { useStore } from "@/api/store";
import type { RunFilters } from "./filters";
import { type FeedState, RunFeed } from "./RunFeed";
import { rowsFor } from "./rows";

const POLL_MS = 1_500;

export interface LiveRuns extends FeedState {
  grow: () => void;
  refresh: () => void;
  /** Say which rows are in view. */
  look: (first: number, last: number) => void;
}

/** The runs that fit the filters, kept up to date while the page is visible. */
export function useRunFeed(filters: RunFilters): LiveRuns {
  const key = JSON.stringify(filters);
  const feed = useMemo(() => new RunFeed(rowsFor(JSON.parse(key) as RunFilters)), [key]);
  const view = useRef({ first: 0, last: 0 });
  const state = useStore(feed.state);
  const refresh = useCallback(() => void feed.refresh(view.current), [feed]);
  useEffect(() => {
    refresh();
    const look = (): void => {
      if (document.visibilityState === "visible") refresh();
    };
    const timer = setInterval(look, POLL_MS);
    document.addEventListener("visibilitychange", look);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [refresh]);
  const grow = useCallback(() => void feed.grow(), [feed]);
  const look = useCallback((first: number, last: number) => {
    view.current = { first, last };
  }, []);
  return { ...state, grow, refresh, look };
}
