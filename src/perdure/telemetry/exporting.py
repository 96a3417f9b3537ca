"""Sending spans away through OpenTelemetry's SDK, which is heavy: loaded where the environment asks for it only."""

from __future__ import annotations

import sys

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from perdure.telemetry.spans import EndedSpan, Tracing

_NAME = "perdure"
_MILLISECOND = 1_000_000


class Exporting:
    """The pipeline behind a `Tracing` that sends spans; close it before the process ends."""

    def __init__(self, processor: SpanProcessor, resource: Resource) -> None:
        self._processor = processor
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._scope = InstrumentationScope(_NAME)
        self.tracing = Tracing(tracer=self._provider.get_tracer(_NAME), send=self._send, sampled=self._sampled)

    def close(self) -> None:
        """Send what is left, and stop."""
        self._provider.shutdown()

    def _sampled(self, trace_id: int) -> bool:
        """The sampler's word on a new trace; it depends on the id only, so all processes agree."""
        decision = self._provider.sampler.should_sample(None, trace_id, _NAME).decision
        return decision is Decision.RECORD_AND_SAMPLE

    def _send(self, ended: EndedSpan) -> None:
        """Built by hand, because a tracer gives a new span an id of its own choice."""
        self._processor.on_end(
            ReadableSpan(
                name=ended.name,
                context=SpanContext(
                    ended.context.trace_id,
                    ended.context.span_id,
                    is_remote=False,
                    trace_flags=TraceFlags(TraceFlags.SAMPLED),
                ),
                resource=self._provider.resource,
                attributes=ended.attributes,
                kind=SpanKind.SERVER,
                status=Status(StatusCode.ERROR if ended.failed else StatusCode.UNSET),
                start_time=ended.started_ms * _MILLISECOND,
                end_time=ended.ended_ms * _MILLISECOND,
                instrumentation_scope=self._scope,
            )
        )


def to_console(service: str | None) -> Exporting:
    """Each span to standard error, as it ends. `service`: the name in the spans' resource."""
    return Exporting(SimpleSpanProcessor(ConsoleSpanExporter(out=sys.stderr)), _resource(service))


def over_http(service: str | None, endpoint: str | None) -> Exporting:
    """Batches of spans to a collector. `endpoint` None: where the SDK looks for one."""
    return Exporting(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)), _resource(service))


def _resource(service: str | None) -> Resource:
    return Resource.create({"service.name": service or _NAME})
