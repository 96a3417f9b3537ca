"""Spans of a run: run → attempt → model call, tool call. Without effect until `configure_tracing` is asked for.

All attempts of a run are in one trace, whichever workers they ran on and however often the server restarted: the ids of
the trace and of its root span are derived from the run's ids, so nothing has to be stored or handed on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, NoOpTracer, Span, SpanContext, SpanKind, TraceFlags, Tracer
from opentelemetry.util.types import AttributeValue

from perdure.telemetry.names import SpanName

Attributes = Mapping[str, AttributeValue]
_AGENT = "agent"


@dataclass(frozen=True, slots=True)
class TracedRun:
    """What identifies a run in its trace. `target` is what it runs: an agent's or a function's name."""

    project_id: str
    run_id: str
    kind: str
    target: str
    conversation_id: str | None = None

    @property
    def root(self) -> SpanContext:
        """Trace id and root span id of the run: the same in every process."""
        digest = hashlib.sha256(f"{self.project_id}/{self.run_id}".encode()).digest()
        return SpanContext(
            trace_id=int.from_bytes(digest[:16]) or 1,
            span_id=int.from_bytes(digest[16:24]) or 1,
            is_remote=True,
            trace_flags=TraceFlags(TraceFlags.SAMPLED),
        )

    def attributes(self) -> dict[str, AttributeValue]:
        """The attributes of both the run's and the attempt's span."""
        return {
            "perdure.run.id": self.run_id,
            "perdure.project.id": self.project_id,
            "perdure.run.kind": self.kind,
            "perdure.run.target": self.target,
        }


@dataclass(frozen=True, slots=True)
class EndedSpan:
    """A root span that is sent whole. Times are integer milliseconds since 1970."""

    name: str
    context: SpanContext
    attributes: Attributes
    started_ms: int
    ended_ms: int
    failed: bool


def _discard(span: EndedSpan) -> None:
    """Where nothing asked for spans."""


def _always(trace_id: int) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Tracing:
    """Makes spans. `Tracing()` makes none; `perdure.telemetry.tracing.configure_tracing` returns one that does."""

    tracer: Tracer = NoOpTracer()  # noqa: RUF009 (it has no state)
    send: Callable[[EndedSpan], None] = _discard
    sampled: Callable[[int], bool] = _always

    def run_ended(self, run: TracedRun, *, status: str, attempt: int, started_ms: int, ended_ms: int) -> None:
        """Send the run's own span; whoever writes the terminal status calls this once."""
        if not self.sampled(run.root.trace_id):
            return
        attributes = run.attributes() | {"perdure.run.status": status, "perdure.run.attempt": attempt}
        name = SpanName.RUN.format(kind=run.kind)
        self.send(EndedSpan(name, run.root, attributes, started_ms, ended_ms, failed=status == "failed"))

    @contextmanager
    def attempt(self, run: TracedRun, attempt: int) -> Iterator[Span]:
        """Around one attempt. Model and tool calls inside, in this task or its children, become its children."""
        attributes = run.attributes() | {"perdure.run.attempt": attempt}
        name = f"attempt {run.target}"
        if run.kind == _AGENT:
            name = SpanName.ATTEMPT.format(target=run.target)
            attributes |= {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": run.target}
        if run.conversation_id is not None:
            attributes["gen_ai.conversation.id"] = run.conversation_id
        root = run.root
        if not self.sampled(root.trace_id):
            root = SpanContext(root.trace_id, root.span_id, is_remote=True, trace_flags=TraceFlags.get_default())
        parent = trace.set_span_in_context(NonRecordingSpan(root))
        with self.tracer.start_as_current_span(
            name, context=parent, kind=SpanKind.CONSUMER, attributes=attributes
        ) as span:
            yield span

    @contextmanager
    def model_call(self, *, provider: str, model: str) -> Iterator[ModelCall]:
        """Around one request to a model; tell the yielded value what came back."""
        attributes: Attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
        }
        name = SpanName.MODEL_CALL.format(model=model)
        with self.tracer.start_as_current_span(name, kind=SpanKind.CLIENT, attributes=attributes) as span:
            yield ModelCall(span)

    @contextmanager
    def tool_call(self, *, name: str, call_id: str) -> Iterator[Span]:
        """Around one execution of a tool."""
        attributes: Attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": call_id,
        }
        with self.tracer.start_as_current_span(SpanName.TOOL_CALL.format(tool=name), attributes=attributes) as span:
            yield span


@dataclass(frozen=True, slots=True)
class ModelCall:
    """The span of a request to a model."""

    span: Span

    def answered(
        self,
        *,
        model: str | None = None,
        response_id: str | None = None,
        finish_reasons: Sequence[str] = (),
        input_tokens: int | None = None,
        output_tokens: int | None = None,
    ) -> None:
        """What the model answered; what is None was not said by it."""
        attributes: dict[str, AttributeValue | None] = {
            "gen_ai.response.model": model,
            "gen_ai.response.id": response_id,
            "gen_ai.response.finish_reasons": tuple(finish_reasons) or None,
            "gen_ai.usage.input_tokens": input_tokens,
            "gen_ai.usage.output_tokens": output_tokens,
        }
        self.span.set_attributes({name: value for name, value in attributes.items() if value is not None})
