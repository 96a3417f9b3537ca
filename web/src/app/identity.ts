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

/** Why the key or token may change nothing, in words; undefined where it may, and as long as that is not known. */
export function useForbidden(): string | undefined {
  const scopes = useMe()?.scopes;
  if (scopes === undefined || scopes.includes("runs:write") || scopes.includes("admin")) return undefined;
  return "Your key may only look: it does not hold runs:write.";
}
