import { CircleCheck, CircleX, Hand, LoaderCircle, Wrench } from "lucide-react";
import type { ReactNode } from "react";
import { CallAnswer } from "@/answers/CallAnswer";
import { cx } from "@/design/cx";
import { Fold } from "@/design/Fold";
import { duration } from "@/design/format";
import { JsonText } from "@/design/JsonText";
import type { ToolItem } from "@/log/chat/items";

/** A tool call: one line; its arguments and what came of it inside. One that waits for somebody is open, with its buttons. */
export function ToolCall({ runId, call }: { runId: string; call: ToolItem }) {
  const waits = call.waitsFor !== null && call.result === null;
  return (
    <section
      aria-label={`Tool call ${call.name}`}
      data-call={call.id}
      className={cx("rounded-lg border bg-surface", waits ? "border-waiting" : "border-line")}
    >
      <Fold
        key={waits ? "waits" : "done"}
        open={waits}
        className="px-3 py-2"
        summary={
          <>
            <StateIcon call={call} />
            <span className="truncate font-mono text-xs font-medium">{call.name}</span>
            <StateWords call={call} />
          </>
        }
        note={call.at !== null && call.endedAt !== null ? duration(call.endedAt - call.at) : null}
      >
        <div className="mt-2 ml-5.5 flex flex-col gap-3 pb-1">
          {call.question ? <p className="text-sm">{call.question}</p> : null}
          {call.args || !waits ? (
            <Part title="Arguments">
              <JsonText text={call.args || "{}"} />
            </Part>
          ) : null}
          {call.decision?.message ? <Part title="Reason">{call.decision.message}</Part> : null}
          {call.result ? (
            <Part title={call.result.isError ? "Error" : "Result"}>
              <JsonText text={call.result.content} />
            </Part>
          ) : null}
        </div>
      </Fold>
      {waits ? (
        <div className="border-t border-line px-3 py-3">
          <CallAnswer
            runId={runId}
            toolCallId={call.id}
            toolName={call.name}
            reason={call.waitsFor ?? "tool"}
          />
        </div>
      ) : null}
    </section>
  );
}

function StateIcon({ call }: { call: ToolItem }) {
  const shape = "size-3.5 shrink-0";
  if (call.result?.isError) return <CircleX aria-hidden="true" className={cx(shape, "text-bad")} />;
  if (call.result) return <CircleCheck aria-hidden="true" className={cx(shape, "text-good")} />;
  if (call.waitsFor) return <Hand aria-hidden="true" className={cx(shape, "text-waiting")} />;
  if (call.back) return <Wrench aria-hidden="true" className={cx(shape, "text-faint")} />;
  return <LoaderCircle aria-hidden="true" className={cx(shape, "animate-spin text-running")} />;
}

function StateWords({ call }: { call: ToolItem }) {
  const [words, tone] = stateOf(call);
  return words ? <span className={cx("shrink-0 text-xs", tone)}>{words}</span> : null;
}

function stateOf({ result, decision, waitsFor }: ToolItem): [string, string] {
  if (result?.cancelled) return ["cancelled", "text-muted"];
  if (decision?.approved === false) return ["rejected", "text-bad"];
  if (result?.isError) return ["failed", "text-bad"];
  if (waitsFor === "approval") return ["needs your approval", "text-waiting"];
  if (waitsFor) return ["needs a result", "text-waiting"];
  if (decision?.approved) return ["approved", "text-good"];
  return ["", ""];
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <h4 className="mb-1 text-xs text-muted">{title}</h4>
      <div className="text-sm break-words">{children}</div>
    </div>
  );
}
