import { customOf, type LogEvent } from "@/log/event";
// What a run said for people (`perdure.log`), as lines. Pure.

/** A piece of a line that looks the same; `tone` is one of the ANSI colours that are told apart. */
export interface Piece {
  text: string;
  tone: Tone;
}

export type Tone = "plain" | "red" | "green" | "yellow" | "blue" | "dim";

export interface Line {
  /** Where it began: the event, and the number of the line. */
  key: string;
  at: number;
  stream: string;
  /** Without escape sequences. */
  text: string;
  pieces: readonly Piece[];
}

/** The lines of all streams, in the order in which they began. Pieces are joined as they are, each stream for itself. */
export function linesOf(events: readonly LogEvent[]): Line[] {
  const joiner = new Joiner();
  for (const event of events) {
    const said = customOf(event);
    if (said?.name !== "perdure.log" || typeof said.value.text !== "string") continue;
    joiner.add(String(said.value.stream), said.value.text, event.at);
  }
  return joiner.lines().map(({ text, stream, at }, index) => {
    const pieces = piecesOf(text);
    return { key: String(index), at, stream, pieces, text: pieces.map((piece) => piece.text).join("") };
  });
}

interface Raw {
  text: string;
  stream: string;
  at: number;
}

/** Joins what a stream says bit by bit. */
class Joiner {
  readonly #lines: Raw[] = [];
  /** The line of each stream that the next bit goes on. */
  readonly #open = new Map<string, Raw>();

  add(stream: string, text: string, at: number): void {
    const parts = text.split("\n");
    const going = this.#open.get(stream);
    if (going) going.text += parts.shift() ?? "";
    const begun = parts.map((part) => ({ text: part, stream, at }));
    this.#lines.push(...begun);
    const last = begun.at(-1) ?? going;
    if (last) this.#open.set(stream, last);
  }

  /** All of them; after a line break at the end comes no line. */
  lines(): Raw[] {
    const empty = new Set([...this.#open.values()].filter((line) => line.text === ""));
    return this.#lines.filter((line) => !empty.has(line));
  }
}

const ESCAPE = "\u001b";
// A colour is kept; every other sequence of a terminal (CSI, OSC, two characters) is left out.
const SEQUENCE = new RegExp(
  `${ESCAPE}\\[([0-9;]*)m|${ESCAPE}\\[[0-?]*[ -/]*[@-~]|${ESCAPE}\\][^\u0007${ESCAPE}]*(?:\u0007|${ESCAPE}\\\\)|${ESCAPE}.`,
  "g",
);

const TONES: Record<string, Tone> = {
  "2": "dim",
  "31": "red",
  "32": "green",
  "33": "yellow",
  "34": "blue",
  "36": "blue",
  "90": "dim",
  "91": "red",
  "92": "green",
  "93": "yellow",
  "94": "blue",
  "96": "blue",
};

/** A line's text, told apart by its ANSI colours; what a carriage return overwrites is gone. */
export function piecesOf(text: string): Piece[] {
  const written = text.replace(/\r$/, "");
  const shown = written.slice(written.lastIndexOf("\r") + 1);
  const pieces: Piece[] = [];
  let tone: Tone = "plain";
  let from = 0;
  for (const match of shown.matchAll(SEQUENCE)) {
    if (match.index > from) pieces.push({ text: shown.slice(from, match.index), tone });
    from = match.index + match[0].length;
    if (match[1] !== undefined) tone = toneAfter(match[1], tone);
  }
  if (from < shown.length) pieces.push({ text: shown.slice(from), tone });
  return pieces;
}

function toneAfter(codes: string, before: Tone): Tone {
  let tone = before;
  for (const code of codes === "" ? ["0"] : codes.split(";")) {
    if (code === "0" || code === "39" || code === "22") tone = "plain";
    else tone = TONES[code] ?? tone;
  }
  return tone;
}
