import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { ErrorState, Skeleton } from "./states";

export interface LoadedProps<T> {
  query: UseQueryResult<T>;
  children: (data: T) => ReactNode;
}

/** What a question to the server answered; before that, that it is on its way, or what went wrong. */
export function Loaded<T>({ query, children }: LoadedProps<T>) {
  if (query.data !== undefined) return children(query.data);
  if (query.error) return <ErrorState error={query.error} onRetry={() => void query.refetch()} />;
  return (
    <div role="status" aria-label="Loading" className="flex flex-col gap-3">
      {["a", "b", "c", "d"].map((key) => (
        <Skeleton key={key} className="h-8" />
      ))}
    </div>
  );
}
