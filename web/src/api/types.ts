// The server's words, by names that pages use. Everything here is derived from `schema.ts`, which the build makes from
// the server's own OpenAPI document; nothing is written down twice.
import type { paths } from "./schema";

export type Method = "get" | "post" | "put" | "patch" | "delete";

type Operation<P extends keyof paths, M extends Method> = Exclude<paths[P][M], undefined>;

type Content<T> = T extends { content: { "application/json": infer J } } ? J : never;

/** What a route answers when all is well. */
export type Answer<P extends keyof paths, M extends Method> =
  Operation<P, M> extends { responses: infer R } ? Content<R[keyof R & (200 | 201 | 202)]> : never;

/** The body that a route takes. */
export type Body<P extends keyof paths, M extends Method> =
  Operation<P, M> extends { requestBody?: infer B } ? Content<Exclude<B, undefined>> : never;

/** The query parameters that a route takes. */
export type Query<P extends keyof paths, M extends Method> =
  Operation<P, M> extends { parameters: { query?: infer Q } } ? Exclude<Q, undefined> : never;

/** The parameters in a route's path. */
export type Path<P extends keyof paths, M extends Method> =
  Operation<P, M> extends { parameters: { path: infer Q } } ? Q : never;

export type Run = Answer<"/runs/{run_id}", "get">;
export type RunPage = Answer<"/runs", "get">;
export type RunStatus = Run["status"];
export type RunKind = Run["kind"];
export type RunEvent = Answer<"/runs/{run_id}/events", "get">["data"][number];
export type Project = Answer<"/projects", "get">["data"][number];
