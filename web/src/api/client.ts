// The one place that talks to the API: it adds the credential, tells the connection, and turns refusals into Problems.
import { reportAway, reportOnline } from "./connection";
import { Problem, problemOf, Unreachable } from "./problem";
import type { paths } from "./schema";
import { credential, signOut } from "./session";
import type { Answer, Body, Method, Path, Query } from "./types";

export interface Options<P extends keyof paths, M extends Method> {
  path?: Path<P, M>;
  query?: Query<P, M>;
  body?: Body<P, M>;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

const AWAY = new Set([502, 503, 504]);

/** Call a route by its method and template: `call("get", "/runs/{run_id}", { path: { run_id } })`. Throws Problem and Unreachable. */
export async function call<M extends Method, P extends keyof paths>(
  method: M,
  path: P,
  options: Options<P, M> = {},
): Promise<Answer<P, M>> {
  const init: RequestInit = { method: method.toUpperCase(), headers: { ...options.headers } };
  if (options.signal) init.signal = options.signal;
  if (options.body !== undefined) {
    init.body = JSON.stringify(options.body);
    init.headers = { ...init.headers, "Content-Type": "application/json" };
  }
  const response = await send(urlOf(path, options.path, options.query), init);
  return (response.status === 204 ? undefined : await response.json()) as Answer<P, M>;
}

/** An authorised request whose answer is not JSON (files, streams). Throws Problem and Unreachable. */
export async function send(url: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  const held = credential.get();
  if (held !== null) headers.set("Authorization", `Bearer ${held}`);
  let response: Response;
  try {
    response = await fetch(url, { cache: "no-store", ...init, headers });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    reportAway();
    throw new Unreachable();
  }
  if (AWAY.has(response.status)) reportAway();
  else reportOnline();
  if (response.ok) return response;
  const problem = await problemOf(response);
  if (problem.status === 401 && held !== null && held === credential.get()) signOut();
  throw problem;
}

/** A route's URL; values in the path are escaped, lists in the query are repeated. */
export function urlOf(template: string, path?: unknown, query?: unknown): string {
  const filled = template.replace(/{(\w+)}/g, (_, name: string) =>
    encodeURIComponent(String((path as Record<string, unknown> | undefined)?.[name])),
  );
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries((query ?? {}) as Record<string, unknown>)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== "") words.append(name, String(one));
    }
  }
  const search = words.toString();
  return search ? `${filled}?${search}` : filled;
}

/** Whether to ask again might help: not after a refusal. */
export function isPassing(error: unknown): boolean {
  return error instanceof Unreachable || (error instanceof Problem && AWAY.has(error.status));
}
