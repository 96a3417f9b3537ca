import { Link } from "@tanstack/react-router";
import { memo, useDeferredValue } from "react";
import { InputForm } from "@/answers/InputForm";
import { CopyButton } from "@/design/CodeBlock";
import { cx } from "@/design/cx";
import { Fold } from "@/design/Fold";
import { duration } from "@/design/format";
import { JsonView } from "@/design/JsonView";
import { LongMarkdown } from "@/design/LongMarkdown";
import type { InputItem, Item, NoticeItem, ReasoningItem, TextItem, UserItem } from "@/log/chat/items";
import { ToolCall } from "./ToolCall";

export interface ChatItemProps {
  runId: string;
  item: Item;
}

/** One item of a chat; drawn again only when it has changed. */
export const ChatItem = memo(function ChatItem({ runId, item }: ChatItemProps) {
  return item.back === null ? (
    <Standing runId={runId} item={item} />
  ) : (
    <TakenBack runId={runId} item={item} why={item.back} />
  );
});

function Standing({ runId, item }: ChatItemProps) {
  switch (item.kind) {
    case "user":
      return <UserMessage item={item} />;
    case "text":
      return <Words item={item} />;
    case "reasoning":
      return <Reasoning item={item} />;
    case "tool":
      return <ToolCall runId={runId} call={item} />;
    case "input":
      return <InputQuestion item={item} />;
    case "notice":
      return <Notice item={item} />;
    case "system":
      return (
        <Fold summary={<span className="text-xs text-muted">System prompt</span>}>
          <p className="mt-2 ml-5.5 text-sm whitespace-pre-wrap text-muted">{item.text}</p>
        </Fold>
      );
  }
}

const REASONS: Record<string, string> = {
  attempt_lost: "its attempt was lost",
  model_retry: "the model was asked again",
  restarted: "the run was restarted",
};

/** What was said and stands for nothing any more: it is not hidden, and it cannot be taken for an answer. */
function TakenBack({ runId, item, why }: ChatItemProps & { why: string }) {
  const what = item.kind === "tool" ? `The call of ${item.name}` : "What was said here";
  return (
    <div data-taken-back="" className="rounded-md border border-dashed border-line-strong px-3 py-2">
      <Fold
        summary={
          <span className="text-xs text-muted">
            {what} was taken back: {REASONS[why] ?? why}
          </span>
        }
      >
        <div className="mt-2 ml-5.5 line-through decoration-faint">
          <Standing runId={runId} item={item} />
        </div>
      </Fold>
    </div>
  );
}

export function UserMessage({ item, note }: { item: UserItem; note?: string }) {
  return (
    <div data-role="user" className="ml-auto flex max-w-[85%] flex-col items-end gap-1">
      <div className="rounded-xl rounded-br-sm bg-accent-soft px-3.5 py-2 text-base break-words whitespace-pre-wrap">
        {item.text}
      </div>
      {note || item.answers ? (
        <span className="text-xs text-muted">{note ?? "Answers what the run asked"}</span>
      ) : null}
    </div>
  );
}

function Words({ item }: { item: TextItem }) {
  // A long answer is parsed anew with each piece: while there is no time for it, the page shows the one before.
  const text = useDeferredValue(item.text);
  return (
    <div data-role="assistant" className="group relative text-base">
      <LongMarkdown text={text} open={item.open} />
      {item.open || item.text === "" ? null : (
        <div className="absolute top-0 right-0 rounded bg-canvas opacity-0 transition-opacity group-focus-within:opacity-100 group-hover:opacity-100 lg:-right-8">
          <CopyButton text={item.text} label="Copy the message" />
        </div>
      )}
    </div>
  );
}

function Reasoning({ item }: { item: ReasoningItem }) {
  const took = item.at !== null && item.endedAt !== null ? duration(item.endedAt - item.at) : null;
  return (
    <Fold
      summary={
        <span className={cx("text-xs text-muted", item.open && "breathing")}>
          {item.open ? "Thinking" : "Thought"}
        </span>
      }
      note={took}
    >
      <div className="mt-2 ml-1.5 border-l border-line pl-4 text-sm whitespace-pre-wrap text-muted">
        {item.text}
      </div>
    </Fold>
  );
}

function InputQuestion({ item }: { item: InputItem }) {
  const { request } = item;
  const open = request.status === "open";
  return (
    <section
      aria-label={request.title}
      data-input-request={request.id}
      className={cx("rounded-lg border bg-surface p-4", open ? "border-waiting" : "border-line")}
    >
      <div className="flex items-baseline gap-2">
        <h3 className="text-base font-semibold">{request.title}</h3>
        <span className="ml-auto text-xs text-muted first-letter:uppercase">{request.status}</span>
      </div>
      {request.description ? (
        <p className="mt-1 text-sm whitespace-pre-wrap text-muted">{request.description}</p>
      ) : null}
      <div className="mt-3">
        {open ? (
          <InputForm conversationId={request.conversationId} requestId={request.id} fields={request.fields} />
        ) : request.latestResponse ? (
          <JsonView value={request.latestResponse.values} />
        ) : null}
      </div>
    </section>
  );
}

const NOTICE_TONES = { plain: "text-muted", waiting: "text-waiting", bad: "text-bad" } as const;

function Notice({ item }: { item: NoticeItem }) {
  const words = (
    <span className={cx("text-xs break-words", NOTICE_TONES[item.tone])}>
      {item.text}
      {item.runId ? (
        <Link
          to="/runs/$runId"
          params={{ runId: item.runId }}
          className="ml-1 font-mono text-accent-ink hover:underline"
        >
          {item.runId}
        </Link>
      ) : null}
    </span>
  );
  if (item.detail === null) {
    return (
      <div className="flex items-center gap-2 pl-1">
        <span
          aria-hidden="true"
          className={cx("size-1.5 rounded-full bg-current", NOTICE_TONES[item.tone])}
        />
        {words}
      </div>
    );
  }
  return (
    <Fold summary={words}>
      <div className="mt-1 ml-5.5">
        <JsonView value={item.detail} />
      </div>
    </Fold>
  );
}
