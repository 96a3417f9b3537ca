// The tokens of the runs in view. The list does not tell them, so that it stays quick.
import { useEffect, useMemo } from "react";
import { call } from "@/api/client";
import { useStore } from "@/api/store";
import { useProject } from "@/app/identity";
import type { RunRow } from "./rows";
import { MOVING_MS, type Usage, UsageFeed } from "./UsageFeed";

/** Rows that pass by are not asked for. */
const SETTLED_MS = 100;

/** What the runs in view have used, by their ids. */
export function useUsage(inView: readonly RunRow[]): ReadonlyMap<string, Usage> {
  const project = useProject()?.id;
  const feed = useMemo(
    () =>
      new UsageFeed(async (ids) => {
        if (project === undefined) return [];
        const options = { path: { ref: project }, query: { run_id: ids } };
        return (await call("get", "/projects/{ref}/runs/usage", options)).data;
      }),
    [project],
  );
  useEffect(() => {
    if (project === undefined) return;
    // A task calls no models that anybody tells of.
    const ids = inView.filter(({ kind }) => kind !== "task").map(({ id }) => id);
    const look = (): void => void feed.look(ids, Date.now());
    const soon = setTimeout(look, SETTLED_MS);
    const again = setInterval(look, MOVING_MS);
    return () => {
      clearTimeout(soon);
      clearInterval(again);
    };
  }, [feed, project, inView]);
  return useStore(feed.known);
}
