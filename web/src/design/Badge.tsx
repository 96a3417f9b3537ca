import type { ReactNode } from "react";
import { cx } from "./cx";

export type Tone = "neutral" | "running" | "waiting" | "good" | "bad" | "accent";

const TONES: Record<Tone, string> = {
  neutral: "bg-neutral-soft text-neutral",
  running: "bg-running-soft text-running",
  waiting: "bg-waiting-soft text-waiting",
  good: "bg-good-soft text-good",
  bad: "bg-bad-soft text-bad",
  accent: "bg-accent-soft text-accent-ink",
};

export interface BadgeProps {
  tone?: Tone;
  children: ReactNode;
  className?: string;
}

export function Badge({ tone = "neutral", children, className }: BadgeProps) {
  return (
    <span
      className={cx(
        "inline-flex h-5 max-w-full items-center gap-1.5 truncate rounded px-1.5 text-xs font-medium whitespace-nowrap",
        TONES[tone],
        className,
      )}
    >
      {children}
    </span>
  );
}
