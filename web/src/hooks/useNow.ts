import { useEffect, useState } from "react";

/** The time now, milliseconds since 1970; it moves each `every` milliseconds while `live`. */
export function useNow(live: boolean, every = 1_000): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!live) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), every);
    return () => clearInterval(timer);
  }, [live, every]);
  return now;
}
