import { useNavigate } from "@tanstack/react-router";
import { CircleCheck } from "lucide-react";
import { useRef } from "react";
import type { CallAnswerHandle } from "@/answers/CallAnswer";
import { PageHeader } from "@/app/PageHeader";
import { KeyHint } from "@/design/KeyHint";
import { EmptyState, ErrorState, Skeleton } from "@/design/states";
import { useHotkeys } from "@/hooks/useHotkeys";
import { useListKeys } from "@/hooks/useListKeys";
import { useNow } from "@/hooks/useNow";
import { QuestionCard } from "./QuestionCard";
import { type Question, useWaiting } from "./useWaiting";

const EVERY_MS = 1_500;
/** Cards that are drawn; the rest comes up as they are answered. */
const SHOWN = 50;

export default function ApprovalsPage() {
  const { questions, ready, more, error, refetch } = useWaiting(EVERY_MS);
  const navigate = useNavigate();
  const now = useNow(true);
  const list = useRef<HTMLOListElement>(null);
  const answer = useRef<CallAnswerHandle>(null);
  const shown = questions.slice(0, SHOWN);
  const keys = useListKeys(shown.length, {
    move: (index) => {
      const card = list.current?.children[index];
      card?.scrollIntoView({ block: "nearest" });
    },
    open: (index) => {
      const question = shown[index];
      if (question) void navigate({ to: "/runs/$runId", params: { runId: runOf(question) } });
    },
  });
  // The first is selected before anybody has moved, so that the keys mean something at once.
  const current = Math.max(0, keys.current);
  useHotkeys({ a: () => answer.current?.approve(), r: () => answer.current?.reject() });
  if (!ready && error) return <ErrorState error={error} onRetry={refetch} />;
  return (
    <>
      <PageHeader
        title="Approvals"
        note={ready ? noteOf(questions.length, more) : null}
        actions={<Keys shown={shown.length > 0} />}
      />
      {!ready ? (
        <Skeleton className="mx-4 h-40 max-w-3xl sm:mx-6" />
      ) : shown.length === 0 ? (
        <EmptyState icon={<CircleCheck className="size-6" />} title="Nothing waits for you">
          Tool calls that need approval or a result, and questions that runs ask, appear here by themselves.
        </EmptyState>
      ) : (
        <section
          tabIndex={0}
          aria-label="What waits"
          className="min-h-0 flex-1 overflow-auto px-4 pb-6 sm:px-6"
        >
          <ol ref={list} className="flex max-w-3xl flex-col gap-3 pt-1">
            {shown.map((question, index) => (
              <li key={question.key}>
                <QuestionCard
                  question={question}
                  now={now}
                  selected={index === current}
                  onSelect={() => keys.setCurrent(index)}
                  answer={index === current ? answer : undefined}
                />
              </li>
            ))}
          </ol>
        </section>
      )}
    </>
  );
}

function runOf(question: Question): string {
  return question.kind === "call" ? question.run.run_id : question.request.run_id;
}

function noteOf(total: number, more: boolean): string | null {
  if (more) return `${total} of the newest runs that wait; there are more`;
  return total > 0 ? `${total} waiting` : null;
}

function Keys({ shown }: { shown: boolean }) {
  if (!shown) return null;
  return (
    <span className="hidden items-center gap-1.5 text-xs text-muted md:flex">
      <KeyHint keys="j" /> <KeyHint keys="k" /> move
      <KeyHint keys="a" /> approve
      <KeyHint keys="r" /> reject
    </span>
  );
}
