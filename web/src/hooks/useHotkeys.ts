import { useEffect, useRef } from "react";

/** From a key (`KeyboardEvent.key`) to what it does. */
export type Hotkeys = Record<string, (event: KeyboardEvent) => void>;

const TYPING =
  "input:not([type=checkbox]), textarea, select, [contenteditable=true], [role=menu], [role=dialog]";

/** Keys that work wherever the focus is, but not while somebody types, and not with Ctrl, Alt or Meta. */
export function useHotkeys(keys: Hotkeys): void {
  const latest = useRef(keys);
  useEffect(() => {
    latest.current = keys;
  });
  useEffect(() => {
    const listen = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
      if (event.target instanceof Element && event.target.closest(TYPING)) return;
      const action = latest.current[event.key];
      if (action === undefined) return;
      event.preventDefault();
      action(event);
    };
    document.addEventListener("keydown", listen);
    return () => document.removeEventListener("keydown", listen);
  }, []);
}
