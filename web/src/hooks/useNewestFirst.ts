import { startTransition, useEffect, useState } from "react";

/**
 * Where to begin to draw a list of which the end is looked at: at first its newest `step` things, then the earlier ones
 * down to the index `goal`, a few at a time, whenever the browser has nothing else to do.
 */
export function useNewestFirst(count: number, goal: number, step: number): number {
  const [begin, setBegin] = useState(() => Math.max(goal, count - step));
  useEffect(() => {
    if (begin > goal) startTransition(() => setBegin(Math.max(goal, begin - step)));
  }, [begin, goal, step]);
  return Math.max(begin, goal);
}
