import { QueryClient } from "@tanstack/react-query";
import { isPassing } from "./client";
import { connection } from "./connection";

const ATTEMPTS = 3;

/** The cache of everything that pages read. What the server refuses is not asked again by itself. */
export function newQueryClient(): QueryClient {
  const client = new QueryClient({
    defaultOptions: {
      queries: {
        retry: (count, error) => isPassing(error) && count < ATTEMPTS,
        staleTime: 1_000,
        refetchOnWindowFocus: true,
        networkMode: "always",
      },
      mutations: { retry: false, networkMode: "always" },
    },
  });
  connection.subscribe(() => {
    if (connection.get() === "online") void client.invalidateQueries();
  });
  return client;
}
