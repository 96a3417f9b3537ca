import { useQueryClient } from "@tanstack/react-query";
import { Check, X } from "lucide-react";
import { type FormEvent, type Ref, useId, useImperativeHandle, useState } from "react";
import { RUNS_KEY, runKey } from "@/api/cached";
import { call } from "@/api/client";
import { messageOf } from "@/api/problem";
import type { Body } from "@/api/types";
import { useForbidden } from "@/app/identity";
import { SteerButton } from "@/app/SteerButton";
import { Button } from "@/design/Button";
import { Field, INPUT, Input } from "@/design/Field";

export interface CallAnswerProps {
  runId: string;
  toolCallId: string;
  toolName: string;
  /** `approval`: yes or no. Anything else: the call's result, from whoever executes it. */
  reason: string;
  /** So that a page's keys can answer, too. */
  ref?: Ref<CallAnswerHandle>;
}

export interface CallAnswerHandle {
  approve: () => void;
  /** Ask for the reason of a no. */
  reject: () => void;
}

/** What answers a tool call that a run waits for. It stays until the run's log, or the list, says that it is answered. */
export function CallAnswer({ runId, toolCallId, toolName, reason, ref }: CallAnswerProps) {
  const client = useQueryClient();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string>();
  const [rejecting, setRejecting] = useState(false);
  const why = useForbidden();
  const send = async (body: Body<"/runs/{run_id}/resume", "post">): Promise<void> => {
    setBusy(true);
    setError(undefined);
    try {
      await call("post", "/runs/{run_id}/resume", { path: { run_id: runId }, body });
      await client.invalidateQueries({ queryKey: RUNS_KEY });
      await client.invalidateQueries({ queryKey: runKey(runId) });
    } catch (problem) {
      setError(messageOf(problem));
      setBusy(false);
    }
  };
  const decide = (approved: boolean, message?: string): void => {
    const said = message ? { message } : {};
    if (!busy) void send({ type: "approval", tool_call_id: toolCallId, approved, ...said });
  };
  useImperativeHandle(ref, () => ({
    approve: () => (why === undefined ? decide(true) : setError(why)),
    reject: () => (why === undefined ? setRejecting(true) : setError(why)),
  }));
  return (
    <div className="flex flex-col gap-3">
      {reason !== "approval" ? (
        <ResultForm
          busy={busy}
          toolName={toolName}
          onSend={(result, isError) =>
            void send({ type: "tool_result", tool_call_id: toolCallId, result, is_error: isError })
          }
        />
      ) : rejecting ? (
        <RejectForm
          busy={busy}
          onReject={(message) => decide(false, message)}
          onBack={() => setRejecting(false)}
        />
      ) : (
        <div className="flex gap-2">
          <SteerButton
            tone="primary"
            busy={busy}
            icon={<Check className="size-3.5" />}
            onClick={() => decide(true)}
          >
            Approve
          </SteerButton>
          <SteerButton
            tone="danger"
            busy={busy}
            icon={<X className="size-3.5" />}
            onClick={() => setRejecting(true)}
          >
            Reject
          </SteerButton>
        </div>
      )}
      {error ? (
        <p role="alert" className="text-sm text-bad">
          {error}
        </p>
      ) : null}
    </div>
  );
}

function RejectForm({
  busy,
  onReject,
  onBack,
}: {
  busy: boolean;
  onReject: (message: string) => void;
  onBack: () => void;
}) {
  const id = useId();
  const [message, setMessage] = useState("");
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    onReject(message.trim());
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-3">
      <Field label="Why not?" htmlFor={id} hint="Optional. The model is told.">
        <Input
          id={id}
          autoFocus
          maxLength={10_000}
          value={message}
          onChange={(event) => setMessage(event.target.value)}
          onKeyDown={(event) => event.key === "Escape" && onBack()}
        />
      </Field>
      <div className="flex gap-2">
        <Button type="submit" tone="danger" busy={busy} icon={<X className="size-3.5" />}>
          Reject the call
        </Button>
        <Button tone="ghost" onClick={onBack}>
          Back
        </Button>
      </div>
    </form>
  );
}

function ResultForm({
  busy,
  toolName,
  onSend,
}: {
  busy: boolean;
  toolName: string;
  onSend: (result: unknown, isError: boolean) => void;
}) {
  const id = useId();
  const [text, setText] = useState("");
  const [isError, setIsError] = useState(false);
  const [wrong, setWrong] = useState<string>();
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    try {
      onSend(JSON.parse(text), isError);
      setWrong(undefined);
    } catch {
      setWrong("The result must be JSON; text needs quotes.");
    }
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-3">
      <Field label={`Result of ${toolName}`} htmlFor={id} error={wrong}>
        <textarea
          id={id}
          rows={3}
          required
          spellCheck={false}
          placeholder='{"answer": 42}'
          value={text}
          onChange={(event) => setText(event.target.value)}
          className={`${INPUT} h-auto py-2 font-mono text-xs`}
        />
      </Field>
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <SteerButton type="submit" tone="primary" busy={busy}>
          Send result
        </SteerButton>
        <label className="flex items-center gap-2 text-sm text-muted">
          <input
            type="checkbox"
            checked={isError}
            onChange={(event) => setIsError(event.target.checked)}
            className="size-4 accent-accent"
          />
          The call failed
        </label>
      </div>
    </form>
  );
}
