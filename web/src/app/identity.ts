import { useQuery } from "@tanstack/react-query";
import { call } from "@/api/client";
import type { Project } from "@/api/types";

/** Try a key or token on the server, before it is kept. Throws Problem and Unreachable. */
export async function verify(candidate: string): Promise<void> {
  await call("get", "/projects", { headers: { Authorization: `Bearer ${candidate}` } });
}

/** The project whose runs are shown: the key's own. */
export function useProject(): Project | undefined {
  const { data } = useQuery({
    queryKey: ["projects"],
    queryFn: ({ signal }) => call("get", "/projects", { signal }),
    staleTime: 60_000,
  });
  return data?.data[0];
}
