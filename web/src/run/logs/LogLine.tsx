import type { Ref } from "react";
import { cx } from "@/design/cx";
import { timeOfDay } from "@/design/format";
import type { Line, Tone } from "./lines";

const TONES: Record<Tone, string> = {
  plain: "",
  red: "text-bad",
  green: "text-good",
  yellow: "text-waiting",
  blue: "text-running",
  dim: "text-faint",
};

const STREAMS: Record<string, string> = {
  stdout: "text-faint",
  stderr: "text-bad",
  log: "text-accent-ink",
  perdure: "text-waiting",
};

export interface LogLineProps {
  line: Line;
  index: number;
  wrap: boolean;
  top: number;
  ref: Ref<HTMLDivElement>;
}

export function LogLine({ line, index, wrap, top, ref }: LogLineProps) {
  return (
    <div
      ref={ref}
      data-index={index}
      data-stream={line.stream}
      style={{ transform: `translateY(${top}px)` }}
      className={cx(
        "absolute left-0 flex min-w-full gap-4 px-4 font-mono text-xs/5 hover:bg-hover sm:px-6",
        wrap ? "w-full" : "w-max",
        line.stream === "stderr" && "shadow-[inset_2px_0_0_var(--bad)]",
      )}
    >
      <span className="hidden w-24 shrink-0 text-faint sm:block">{timeOfDay(line.at)}</span>
      <span className={cx("w-14 shrink-0", STREAMS[line.stream] ?? "text-faint")}>{line.stream}</span>
      <span className={wrap ? "min-w-0 break-words whitespace-pre-wrap" : "whitespace-pre"}>
        {line.pieces.map((piece, place) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the pieces of a line have nothing but their place.
          <span key={place} className={TONES[piece.tone]}>
            {piece.text}
          </span>
        ))}
      </span>
    </div>
  );
}
