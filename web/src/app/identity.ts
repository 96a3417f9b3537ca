import { useQuery } from "@tanstack/react-query";
import { call } from "@/api/client";
import type { Answer } from "@/api/types";

export type Me = Answer<"/auth/me", "get">;

/** Try a key or token on the server, before it is kept. Throws Problem and Unreachable. */
export async function verify(candidate: string): Promise<void> {
  await call("get", "/auth/me", { headers: { Authorization: `Bearer ${candidate}` } });
}

/** Who the key or token says that its holder is, in which project, and what it may do. */
export function useMe(): Me | undefined {
  const { data } = useQuery({
    queryKey: ["me"],
    queryFn: ({ signal }) => call("get", "/auth/me", { signal }),
    staleTime: 60_000,
  });
  return data;
}

/** The project whose runs are shown: the key's own. */
export function useProject(): Me["project"] | undefined {
  return useMe()?.project;
}
