import { Link } from "@tanstack/react-router";
import type { ReactNode, Ref } from "react";
import { CallAnswer, type CallAnswerHandle } from "@/answers/CallAnswer";
import { InputForm } from "@/answers/InputForm";
import { Badge } from "@/design/Badge";
import { cx } from "@/design/cx";
import { ago, moment } from "@/design/format";
import { JsonText } from "@/design/JsonText";
import { Skeleton } from "@/design/states";
import { useCall } from "./useCall";
import type { InputRequest, Question, WaitingCall, WaitingRun } from "./useWaiting";

export interface QuestionCardProps {
  question: Question;
  now: number;
  selected: boolean;
  onSelect: () => void;
  /** Where the page's keys find what answers the selected card. */
  answer: Ref<CallAnswerHandle> | undefined;
}

/** What one run waits for, and what answers it. */
export function QuestionCard({ question, now, selected, onSelect, answer }: QuestionCardProps) {
  const isCall = question.kind === "call";
  const runId = isCall ? question.run.run_id : question.request.run_id;
  return (
    <article
      aria-label={isCall ? question.call.tool_name : question.request.title}
      aria-current={selected || undefined}
      data-question={question.key}
      onFocus={onSelect}
      onPointerDown={onSelect}
      className={cx(
        "rounded-lg border bg-surface",
        selected ? "border-accent shadow-[inset_3px_0_0_var(--accent)]" : "border-line",
      )}
    >
      <header className="flex flex-wrap items-center gap-x-3 gap-y-1 px-4 pt-3">
        <Badge tone="waiting">{badgeOf(question)}</Badge>
        <h2 className={cx("min-w-0 truncate text-sm font-semibold", isCall && "font-mono")}>
          {isCall ? question.call.tool_name : question.request.title}
        </h2>
        <time
          dateTime={question.askedAt}
          title={moment(question.askedAt)}
          className="ml-auto text-xs text-muted"
        >
          {ago(question.askedAt, now)}
        </time>
      </header>
      <p className="flex flex-wrap gap-x-2 px-4 pt-1 text-xs text-muted">
        {isCall ? (question.run.agent_id ?? question.run.target) : null}
        <Link
          to="/runs/$runId"
          params={{ runId }}
          className="max-w-full truncate font-mono text-accent-ink hover:underline"
        >
          {runId}
        </Link>
      </p>
      <div className="px-4 pt-3 pb-4">
        {isCall ? (
          <CallQuestion run={question.run} call={question.call} answer={answer} />
        ) : (
          <InputQuestion request={question.request} />
        )}
      </div>
    </article>
  );
}

function badgeOf(question: Question): string {
  if (question.kind === "input") return "Input";
  return question.call.reason === "approval" ? "Approval" : "Result";
}

function CallQuestion({
  run,
  call,
  answer,
}: {
  run: WaitingRun;
  call: WaitingCall;
  answer: Ref<CallAnswerHandle> | undefined;
}) {
  const { data: told, isPending } = useCall(run.run_id, call.tool_call_id, run.latest_event_id);
  return (
    <div className="flex flex-col gap-3">
      {isPending ? <Skeleton className="h-10" /> : null}
      {told?.question ? <Words>{told.question}</Words> : null}
      {told?.args ? <JsonText text={told.args} /> : null}
      <CallAnswer
        runId={run.run_id}
        toolCallId={call.tool_call_id}
        toolName={call.tool_name}
        reason={call.reason}
        {...(answer ? { ref: answer } : {})}
      />
    </div>
  );
}

function InputQuestion({ request }: { request: InputRequest }) {
  return (
    <div className="flex flex-col gap-3">
      {request.description ? <Words>{request.description}</Words> : null}
      <InputForm conversationId={request.conversation_id} requestId={request.id} fields={request.fields} />
    </div>
  );
}

function Words({ children }: { children: ReactNode }) {
  return <p className="text-sm break-words whitespace-pre-wrap text-muted">{children}</p>;
}
