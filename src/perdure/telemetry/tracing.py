"""Sending spans away through OpenTelemetry's SDK. Only the composition root imports this module: the SDK is heavy."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from perdure.telemetry.logs import get_logger
from perdure.telemetry.names import LogLine
from perdure.telemetry.spans import EndedSpan, Tracing

_NAME = "perdure"
_PROTOCOL = "http/protobuf"
_TRACES_PATH = "v1/traces"
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


def configure_tracing(env: Mapping[str, str]) -> Exporting | None:
    """What the standard OTEL_* variables ask for; None when they ask for nothing.

    Asking is an endpoint (OTEL_EXPORTER_OTLP_ENDPOINT or …_TRACES_ENDPOINT) or OTEL_TRACES_EXPORTER=otlp|console;
    OTEL_SDK_DISABLED=true and OTEL_TRACES_EXPORTER=none ask for nothing. Everything finer (headers, sampler, batch
    sizes, resource attributes) is read by the SDK itself. Spans go over HTTP, protobuf; no global tracer is set.
    """
    if env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    exporter = env.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    endpoint = _endpoint(env)
    if exporter == "none" or (not exporter and endpoint is None):
        return None
    resource = Resource.create({"service.name": env.get("OTEL_SERVICE_NAME") or _NAME})
    if exporter == "console":
        return Exporting(SimpleSpanProcessor(ConsoleSpanExporter(out=sys.stderr)), resource)
    protocol = env.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or env.get("OTEL_EXPORTER_OTLP_PROTOCOL") or _PROTOCOL
    if protocol != _PROTOCOL:
        get_logger().warning(LogLine.TRACING_PROTOCOL, asked=protocol)
    get_logger().info(LogLine.TRACING_ON, exporter="otlp", endpoint=endpoint)
    return Exporting(BatchSpanProcessor(_otlp(endpoint)), resource)


def _endpoint(env: Mapping[str, str]) -> str | None:
    if traces := env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        return traces
    if base := env.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return f"{base.rstrip('/')}/{_TRACES_PATH}"
    return None


def _otlp(endpoint: str | None) -> SpanExporter:
    return OTLPSpanExporter(endpoint=endpoint)
