import { CircleCheck, CircleSlash, CircleX } from "lucide-react";
import type { Run } from "@/api/types";
import { cx } from "@/design/cx";
import { count, moment } from "@/design/format";
import type { Chat, Usage } from "@/log/chat/items";

/** What stands at the end of a chat: how the run ended, or what it is at. */
export function Tail({ run, chat }: { run: Run; chat: Chat }) {
  if (chat.end) return <End end={chat.end} />;
  const words = activityOf(run, chat);
  return words ? (
    <p role="status" className="flex items-center gap-2 pl-1 text-xs text-muted">
      <span
        aria-hidden="true"
        className={cx("size-1.5 rounded-full", chat.waiting ? "bg-waiting" : "breathing bg-running")}
      />
      {words}
    </p>
  ) : chat.turn?.usage ? (
    <p className="pl-1 text-xs text-muted">{usageText(chat.turn.usage)}</p>
  ) : null;
}

const WAITS: Record<string, string> = {
  event: "Waiting for a signal",
  tool: "Waiting for the result of a tool call",
  approval: "Waiting for your decision",
};

function activityOf(run: Run, chat: Chat): string | null {
  if (chat.waiting?.until) return `Sleeping until ${moment(new Date(chat.waiting.until).toISOString())}`;
  if (chat.waiting) return WAITS[chat.waiting.reason] ?? null;
  if (run.status === "pending") return "Waiting for a worker";
  if (chat.items.some((item) => item.kind === "text" && item.open && item.text !== "")) return null;
  if (chat.turn !== null) return null;
  return chat.progress ?? "Working";
}

const ENDS = {
  completed: { icon: CircleCheck, words: "Completed", tone: "text-good" },
  failed: { icon: CircleX, words: "Failed", tone: "text-bad" },
  cancelled: { icon: CircleSlash, words: "Cancelled", tone: "text-muted" },
} as const;

function End({ end }: { end: NonNullable<Chat["end"]> }) {
  const { icon: Icon, words, tone } = ENDS[end.status];
  return (
    <div
      role="status"
      className="mt-2 flex flex-wrap items-baseline gap-x-3 gap-y-1 border-t border-line pt-3 text-xs"
    >
      <span className={cx("inline-flex items-center gap-1.5 font-medium", tone)}>
        <Icon aria-hidden="true" className="size-3.5 self-center" />
        {words}
      </span>
      {end.usage ? <span className="text-muted">{usageText(end.usage)}</span> : null}
      {end.code && end.code !== "CANCELLED" ? <span className="font-mono text-muted">{end.code}</span> : null}
      {end.message ? <p className={cx("w-full text-sm break-words", tone)}>{end.message}</p> : null}
    </div>
  );
}

function usageText({ model, inputTokens, outputTokens }: Usage): string {
  const tokens =
    inputTokens === null && outputTokens === null
      ? null
      : `${count(inputTokens ?? 0)} tokens in, ${count(outputTokens ?? 0)} out`;
  return [model, tokens].filter(Boolean).join(" · ");
}
