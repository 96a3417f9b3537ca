// Server-sent events over fetch. EventSource is no choice: it cannot send a header, and the key must not be in a URL.
import { isPassing, send } from "./client";
import { connection } from "./connection";

export interface Frame {
  id: string;
  event: string;
  data: string;
  /** When it was written, milliseconds since 1970, where the stream was asked to say so (`times=true`). */
  time?: number;
}

export type StreamState = "connecting" | "live" | "waiting" | "ended" | "failed";

export interface Following {
  url: string;
  /** The id of the last event that the caller has; "0" is the beginning. */
  after: string;
  /** The frames of one chunk, in order, each exactly once. */
  onFrames: (frames: Frame[]) => void;
  onState?: (state: StreamState, error?: unknown) => void;
  /** Whether the log has ended with this frame, so that the end of the stream is its end. */
  isLast: (frame: Frame) => boolean;
  /** There is no log that ends: an answer that says nothing was cut off. */
  endless?: boolean;
  signal: AbortSignal;
}

const FIRST_PAUSE_MS = 500;
const LAST_PAUSE_MS = 10_000;

/** Follow a stream until its log ends or `signal` says so, going on where it broke off; resolves then. */
export async function follow(following: Following): Promise<void> {
  const { onState, signal } = following;
  const place: Place = { cursor: following.after, pause: FIRST_PAUSE_MS };
  while (!signal.aborted) {
    onState?.("connecting");
    try {
      if (await readOn(following, place)) return onState?.("ended");
    } catch (error) {
      if (signal.aborted) return;
      // A TypeError is a connection that broke off in the middle.
      if (!isPassing(error) && !(error instanceof TypeError)) return onState?.("failed", error);
    }
    onState?.("waiting");
    await pauseFor(place.pause * (0.75 + Math.random() / 2), signal);
    place.pause = Math.min(place.pause * 2, LAST_PAUSE_MS);
  }
}

/** Where a follower stands. */
interface Place {
  cursor: string;
  pause: number;
}

/** Read one answer to its end; whether the log has ended with it. */
async function readOn(following: Following, place: Place): Promise<boolean> {
  const { url, onFrames, onState, isLast, signal } = following;
  let last: Frame | undefined;
  for await (const frames of frameChunks(url, place.cursor, signal, () => onState?.("live"))) {
    last = frames.at(-1);
    place.cursor = last?.id ?? place.cursor;
    place.pause = FIRST_PAUSE_MS;
    onFrames(frames);
  }
  // An answer that ends at once, and says nothing, is that of a log that had ended.
  return last === undefined ? following.endless !== true : isLast(last);
}

async function* frameChunks(
  url: string,
  cursor: string,
  signal: AbortSignal,
  onOpen: () => void,
): AsyncGenerator<Frame[]> {
  const headers = { Accept: "text/event-stream", "Last-Event-ID": cursor };
  const response = await send(url, { headers, signal });
  onOpen();
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const parser = new FrameParser();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const frames = parser.push(value);
    if (frames.length > 0) yield frames;
  }
}

/** Cuts text into frames, wherever the chunks of the network begin and end. */
export class FrameParser {
  #rest = "";

  push(text: string): Frame[] {
    const blocks = (this.#rest + text).replaceAll("\r\n", "\n").split("\n\n");
    this.#rest = blocks.pop() ?? "";
    return blocks.map(frameOf).filter((frame) => frame !== null);
  }
}

function frameOf(block: string): Frame | null {
  const frame: Frame = { id: "", event: "message", data: "" };
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const value = line.slice(colon + 1).replace(/^ /, "");
    const field = line.slice(0, colon);
    if (field === "data") data.push(value);
    else if (field === "id") frame.id = value;
    else if (field === "time") frame.time = Number(value);
    else if (field === "event") frame.event = value;
  }
  if (data.length === 0) return null;
  frame.data = data.join("\n");
  return frame;
}

/** Sleep; shorter when the server is back, or the caller is gone. */
function pauseFor(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = (): void => {
      clearTimeout(timer);
      unsubscribe();
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, milliseconds);
    const unsubscribe = connection.subscribe(() => connection.get() === "online" && finish());
    signal.addEventListener("abort", finish);
  });
}
