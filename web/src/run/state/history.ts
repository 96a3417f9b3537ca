// What a run says of its state (STATE_SNAPSHOT, STATE_DELTA), event by event.
import {
  existsIn,
  immutableJSONPatch,
  type JSONPatchOperation,
  parseJSONPointer,
} from "immutable-json-patch";
import { isObject, type LogEvent } from "@/log/event";

export interface Moment {
  /** The event that made this state. */
  event: LogEvent;
  state: unknown;
}

/** The state after each event that changed it. What has not changed is the same object in two of them. */
export function historyOf(events: readonly LogEvent[]): Moment[] {
  const moments: Moment[] = [];
  let state: unknown = {};
  for (const event of events) {
    if (event.type === "STATE_SNAPSHOT" && isObject(event.payload.snapshot)) state = event.payload.snapshot;
    else if (event.type === "STATE_DELTA" && Array.isArray(event.payload.delta))
      state = patched(state, event.payload.delta);
    else continue;
    moments.push({ event, state });
  }
  return moments;
}

/** As the server does it: up to the first operation that does not fit. */
function patched(state: unknown, operations: readonly unknown[]): unknown {
  let next = state;
  try {
    for (const operation of operations) {
      if (!hasPlace(next, operation)) break;
      next = immutableJSONPatch(next, [operation as JSONPatchOperation]);
    }
  } catch {
    // What fitted stays.
  }
  return next;
}

/** Whether what an operation takes away or moves is there: the library does not ask, the server does. */
function hasPlace(state: unknown, operation: unknown): boolean {
  if (!isObject(operation)) return false;
  const { op, path, from } = operation;
  const place = op === "remove" ? path : op === "move" || op === "copy" ? from : undefined;
  return typeof place !== "string" || existsIn(state, parseJSONPointer(place));
}

export interface Change {
  /** A JSON pointer. */
  path: string;
  before: unknown;
  after: unknown;
}

/** Where two JSON values differ; undefined stands for what is not there. At most `most` changes. */
export function changesBetween(before: unknown, after: unknown, most = 200): Change[] {
  const found: Change[] = [];
  const compare = (path: string, one: unknown, other: unknown): void => {
    if (one === other || found.length >= most) return;
    const inside = keysOf(one, other);
    if (inside === undefined) {
      found.push({ path, before: one, after: other });
      return;
    }
    for (const key of inside)
      compare(
        `${path}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`,
        memberOf(one, key),
        memberOf(other, key),
      );
  };
  compare("", before, after);
  return found;
}

/** The members of both, where both are objects or both are lists. */
function keysOf(one: unknown, other: unknown): Set<string> | undefined {
  if (one === null || other === null || typeof one !== "object" || typeof other !== "object")
    return undefined;
  if (Array.isArray(one) !== Array.isArray(other)) return undefined;
  return new Set([...Object.keys(one), ...Object.keys(other)]);
}

function memberOf(value: unknown, key: string): unknown {
  return Object.hasOwn(value as object, key) ? (value as Record<string, unknown>)[key] : undefined;
}
