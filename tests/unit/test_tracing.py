"""Spans: nothing unless asked for; then one trace per run, sent as OTLP."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from perdure.telemetry import TracedRun, Tracing
from perdure.telemetry.tracing import configure_tracing

RUN = TracedRun(project_id="p1", run_id="r1", kind="agent", target="support", conversation_id="c1")


class Collector(ThreadingHTTPServer):
    """Takes what is sent to /v1/traces."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.spans: list[Span] = []
        self.services: set[str] = set()

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.services |= {attributes(resource.resource.attributes)["service.name"]}
            for scope in resource.scope_spans:
                self.spans += scope.spans


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert isinstance(self.server, Collector)
        self.server.take(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
        self.send_response(200 if self.path == "/v1/traces" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def attributes(pairs: Iterable[KeyValue]) -> dict[str, str]:
    return {pair.key: _plain(pair.value) for pair in pairs}


def _plain(value: AnyValue) -> str:
    match value.WhichOneof("value"):
        case "int_value":
            return str(value.int_value)
        case "array_value":
            return ",".join(_plain(inner) for inner in value.array_value.values)
        case _:
            return value.string_value


def environment(collector: Collector) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}/"}


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"OTEL_SERVICE_NAME": "x"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
    ],
)
def test_nothing_is_set_up_unless_asked_for(env: dict[str, str]) -> None:
    assert configure_tracing(env) is None


def test_without_it_everything_is_free_of_effect() -> None:
    tracing = Tracing()
    with tracing.attempt(RUN, 1) as span, tracing.model_call(provider="openai", model="m") as call:
        call.answered(model="m", input_tokens=1)
        assert not span.is_recording()
    tracing.run_ended(RUN, status="completed", attempt=1, started_ms=1, ended_ms=2)


def test_a_run_is_one_trace_over_all_its_attempts(collector: Collector) -> None:
    for attempt in (1, 2):  # Each as if in a process of its own.
        exporting = configure_tracing(environment(collector))
        assert exporting is not None
        tracing = exporting.tracing
        with tracing.attempt(RUN, attempt):
            with tracing.model_call(provider="openai", model="gpt-x") as call:
                call.answered(model="gpt-x-1", finish_reasons=["stop"], input_tokens=3, output_tokens=5)
            with tracing.tool_call(name="search", call_id="t1"):
                pass
        if attempt == 2:
            tracing.run_ended(RUN, status="failed", attempt=2, started_ms=1_000, ended_ms=5_000)
        exporting.close()

    spans = collector.spans
    assert collector.services == {"perdure"}
    assert {span.trace_id for span in spans} == {RUN.root.trace_id.to_bytes(16)}
    (root,) = [span for span in spans if span.name == "run agent"]
    assert (root.parent_span_id, root.span_id) == (b"", RUN.root.span_id.to_bytes(8))
    assert (root.start_time_unix_nano, root.end_time_unix_nano) == (1_000_000_000, 5_000_000_000)
    assert root.status.code == Status.STATUS_CODE_ERROR
    assert attributes(root.attributes) == {
        "perdure.run.id": "r1",
        "perdure.project.id": "p1",
        "perdure.run.kind": "agent",
        "perdure.run.target": "support",
        "perdure.run.status": "failed",
        "perdure.run.attempt": "2",
    }
    attempts = [span for span in spans if span.name == "invoke_agent support"]
    assert [span.parent_span_id for span in attempts] == [root.span_id] * 2
    assert attributes(attempts[1].attributes).items() >= {
        ("gen_ai.operation.name", "invoke_agent"),
        ("gen_ai.agent.name", "support"),
        ("gen_ai.conversation.id", "c1"),
        ("perdure.run.attempt", "2"),
    }
    calls = [span for span in spans if span.parent_span_id == attempts[0].span_id]
    assert [(span.name, attributes(span.attributes)) for span in calls] == [
        (
            "chat gpt-x",
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-x",
                "gen_ai.response.model": "gpt-x-1",
                "gen_ai.response.finish_reasons": "stop",
                "gen_ai.usage.input_tokens": "3",
                "gen_ai.usage.output_tokens": "5",
            },
        ),
        (
            "execute_tool search",
            {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "search",
                "gen_ai.tool.type": "function",
                "gen_ai.tool.call.id": "t1",
            },
        ),
    ]


def test_an_attempt_that_raises_is_an_error(collector: Collector) -> None:
    exporting = configure_tracing(environment(collector))
    assert exporting is not None
    workflow = TracedRun(project_id="p1", run_id="r2", kind="workflow", target="onboarding")
    with pytest.raises(RuntimeError), exporting.tracing.attempt(workflow, 1):
        raise RuntimeError
    exporting.close()
    (span,) = collector.spans
    assert (span.name, span.status.code) == ("attempt onboarding", Status.STATUS_CODE_ERROR)


def test_what_is_not_sampled_is_not_sent(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.0")
    exporting = configure_tracing(environment(collector))
    assert exporting is not None
    with exporting.tracing.attempt(RUN, 1), exporting.tracing.tool_call(name="search", call_id="t1"):
        pass
    exporting.tracing.run_ended(RUN, status="completed", attempt=1, started_ms=1, ended_ms=2)
    exporting.close()
    assert collector.spans == []


async def test_tasks_inside_an_attempt_belong_to_it(collector: Collector) -> None:
    exporting = configure_tracing(environment(collector))
    assert exporting is not None
    tracing = exporting.tracing

    async def tool(call_id: str) -> None:
        with tracing.tool_call(name="search", call_id=call_id):
            await asyncio.sleep(0)

    with tracing.attempt(RUN, 1):
        await asyncio.gather(tool("a"), tool("b"))
    exporting.close()
    tools = [span for span in collector.spans if span.name == "execute_tool search"]
    (attempt,) = [span for span in collector.spans if span not in tools]
    assert [span.parent_span_id for span in tools] == [attempt.span_id] * 2
