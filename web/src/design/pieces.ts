/** Characters; a piece is parsed in a few milliseconds. */
const PIECE = 4_000;

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
// What may belong to what stands before the blank line: a list goes on, or something inside of one.
const GOES_ON = /^(\s|[-*+](\s|$)|\d+[.)](\s|$)|>|$)/;
const DEFINITION = /^ {0,3}\[[^\]]+\]:/m;

/**
 * A long Markdown text in pieces that can be parsed one by one and look the same: cut at blank lines outside of code and
 * lists. Pieces but the last stay what they are while the text grows. A text with definitions, which may be used
 * anywhere, stays whole.
 */
export function piecesOf(text: string, most = PIECE): string[] {
  if (text.length <= most || DEFINITION.test(text)) return [text];
  const pieces: string[] = [];
  let from = 0;
  let fence: string | undefined;
  let blank = false;
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf("\n", at);
    const next = end < 0 ? text.length : end + 1;
    const line = text.slice(at, next).trimEnd();
    if (blank && fence === undefined && at - from >= most && !GOES_ON.test(line)) {
      pieces.push(text.slice(from, at));
      from = at;
    }
    fence = fenceAfter(line, fence);
    blank = line === "";
    at = next;
  }
  pieces.push(text.slice(from));
  return pieces;
}

/** The fence that the code after this line stands in. */
function fenceAfter(line: string, open: string | undefined): string | undefined {
  const mark = FENCE.exec(line)?.[1];
  if (mark === undefined) return open;
  if (open === undefined) return mark;
  const closes = mark[0] === open[0] && mark.length >= open.length && line.trim() === mark;
  return closes ? undefined : open;
}
