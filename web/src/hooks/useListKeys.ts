import { useState } from "react";
import { useHotkeys } from "./useHotkeys";

export interface ListKeys {
  /** The index of the current row; -1 before the first `j`. */
  current: number;
  setCurrent: (index: number) => void;
}

/** `j` and `k` move in a list, Enter opens; `onMove` brings the row into view. */
export function useListKeys(
  count: number,
  on: { open: (index: number) => void; move: (index: number) => void; toggle?: (index: number) => void },
): ListKeys {
  const [chosen, setCurrent] = useState(-1);
  const current = Math.min(chosen, count - 1);
  const go = (index: number): void => {
    if (count === 0) return;
    const bounded = Math.max(0, Math.min(index, count - 1));
    setCurrent(bounded);
    on.move(bounded);
  };
  useHotkeys({
    j: () => go(current + 1),
    k: () => go(current - 1),
    x: () => current >= 0 && on.toggle?.(current),
    ...(current >= 0 ? { o: () => on.open(current) } : {}),
  });
  return { current, setCurrent };
}
