import { Link } from "@tanstack/react-router";
import { History, X } from "lucide-react";
import type { ReactNode } from "react";
import { Badge, type Tone } from "@/design/Badge";
import { Button } from "@/design/Button";
import { CodeBlock } from "@/design/CodeBlock";
import { count, duration, timeOfDay } from "@/design/format";
import { JsonView } from "@/design/JsonView";
import { useAt } from "../useAt";
import type { Span, SpanStatus } from "./spans";

const TONES: Record<SpanStatus, Tone> = {
  running: "running",
  done: "good",
  failed: "bad",
  cancelled: "neutral",
};

export interface SpanPanelProps {
  span: Span;
  until: number;
  onClose: () => void;
}

/** What is known of one span. */
export function SpanPanel({ span, until, onClose }: SpanPanelProps) {
  const { moveTo } = useAt();
  const { tokens, event } = span;
  return (
    <aside
      aria-label={`Details of ${span.name}`}
      className="flex max-h-1/2 flex-col gap-4 overflow-auto border-t border-line bg-surface p-4 lg:max-h-none lg:w-[26rem] lg:border-t-0 lg:border-l"
    >
      <header className="flex items-center gap-2">
        <h2 className="min-w-0 flex-1 truncate text-sm font-semibold">{span.name}</h2>
        <Badge tone={TONES[span.status]}>{span.status}</Badge>
        <Button tone="ghost" aria-label="Close" icon={<X className="size-4" />} onClick={onClose} />
      </header>
      <dl className="grid grid-cols-[6rem_1fr] gap-y-1 text-xs">
        <Fact name="Kind">{span.kind}</Fact>
        <Fact name="Began">{timeOfDay(span.start)}</Fact>
        <Fact name="Duration">{duration((span.end ?? until) - span.start)}</Fact>
        {tokens?.input === undefined ? null : <Fact name="Input tokens">{count(tokens.input)}</Fact>}
        {tokens?.output === undefined ? null : <Fact name="Output tokens">{count(tokens.output)}</Fact>}
        {span.runId ? (
          <Fact name="Run">
            <Link
              to="/runs/$runId"
              params={{ runId: span.runId }}
              className="font-mono break-all text-accent-ink hover:underline"
            >
              {span.runId}
            </Link>
          </Fact>
        ) : null}
      </dl>
      {span.error ? <CodeBlock code={span.error} label="Error" wrap /> : null}
      {span.input === undefined ? null : <Value name="Input" value={span.input} />}
      {span.output === undefined ? null : <Value name="Output" value={span.output} />}
      {event === null ? null : (
        <Button icon={<History className="size-3.5" />} onClick={() => moveTo(event)} className="self-start">
          Go back to event {event}
        </Button>
      )}
    </aside>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-muted">{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

function Value({ name, value }: { name: string; value: unknown }) {
  return (
    <section className="flex flex-col gap-1">
      <h3 className="text-xs font-semibold">{name}</h3>
      {typeof value === "string" ? (
        <CodeBlock code={value} label={name} wrap />
      ) : (
        <JsonView value={value} open={3} bare />
      )}
    </section>
  );
}
