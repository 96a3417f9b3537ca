import { useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback } from "react";

export interface At {
  /** The id of the event that the page stands at; undefined: it is live. */
  at: number | undefined;
  /** Move the whole page to an event, or back to live. */
  moveTo: (id: number | undefined) => void;
}

/** Where in the run's log the page stands. It is part of the URL. */
export function useAt(): At {
  const { at } = useSearch({ from: "/runs/$runId" });
  const navigate = useNavigate();
  const moveTo = useCallback(
    (id: number | undefined) =>
      void navigate({ to: ".", search: { at: id }, replace: true, resetScroll: false }),
    [navigate],
  );
  return { at, moveTo };
}
