import { useMemo } from "react";
import { useNewestFirst } from "@/hooks/useNewestFirst";
import { Markdown, type MarkdownProps } from "./Markdown";
import { piecesOf } from "./pieces";

/** Pieces that are drawn at once: more than a screen of them. */
const AT_ONCE = 2;

/** A model's words, however many: a piece is parsed again only when it has changed, and the end is there first. */
export function LongMarkdown({ text, open = false }: MarkdownProps) {
  const pieces = useMemo(() => piecesOf(text), [text]);
  const begin = useNewestFirst(pieces.length, 0, AT_ONCE);
  return pieces.slice(begin).map((piece, place) => {
    const index = begin + place;
    return <Markdown key={index} text={piece} open={open && index === pieces.length - 1} />;
  });
}
