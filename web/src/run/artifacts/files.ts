import { call } from "@/api/client";
import type { Run } from "@/api/types";
import { upload } from "@/api/upload";
import { customOf, isObject, type LogEvent } from "@/log/event";

export interface Artifact {
  path: string;
  contentType: string;
  /** Bytes. */
  size: number;
  /** Id of the event that told of it last; 0 where none did. It changes with what the file holds. */
  toldAt: number;
}

/** A run's files, without those that its log tells of only after `until`, an event's id. */
export function artifactsOf(
  run: Run,
  events: readonly LogEvent[],
  until = Number.POSITIVE_INFINITY,
): Artifact[] {
  const first = new Map<unknown, number>();
  const last = new Map<unknown, number>();
  for (const event of events) {
    const said = customOf(event);
    if (said?.name !== "perdure.artifact") continue;
    if (!first.has(said.value.path)) first.set(said.value.path, event.id);
    last.set(said.value.path, event.id);
  }
  return run.artifacts
    .filter(isFile)
    .filter(({ path }) => (first.get(path) ?? 0) <= until)
    .map((file) => ({ ...file, toldAt: last.get(file.path) ?? 0 }));
}

function isFile(value: unknown): value is Omit<Artifact, "toldAt"> {
  return isObject(value) && typeof value.path === "string" && typeof value.size === "number";
}

export function urlOfArtifact(runId: string, path: string): string {
  const name = path.split("/").map(encodeURIComponent).join("/");
  return `/api/v1/agents/${encodeURIComponent(runId)}/artifacts/${name}`;
}

/** Store a file of the user's with a run, below `files/`. */
export async function uploadTo(
  runId: string,
  file: File,
  onProgress: (share: number) => void,
): Promise<void> {
  const path = `files/${file.name}`;
  if (file.size > 0) return upload(urlOfArtifact(runId, path), file, onProgress);
  // A request without a body asks for a URL; an empty file is sent there.
  const { url } = await call("put", "/api/v1/agents/{run_id}/artifacts/{path}", {
    path: { run_id: runId, path },
  });
  const target = new URL(url);
  return upload(target.pathname + target.search, file, onProgress);
}

const SIZES = ["B", "kB", "MB", "GB"] as const;

/** `12 B`, `3.4 kB`. */
export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1_000 && unit < SIZES.length - 1) {
    value /= 1_000;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${SIZES[unit]}`;
}
