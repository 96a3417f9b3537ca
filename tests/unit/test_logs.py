"""Log lines: their form, their bound fields, and secrets struck out."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from perdure.telemetry import LogLine, configure_logging, get_logger, redact_text, request_context, run_context

SECRET = "hunter2hunter2hunter2"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where lines go; everything is as before afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    before = structlog.get_config()
    yield io.StringIO()
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_a_json_object_with_its_bound_fields(stream: io.StringIO) -> None:
    configure_logging(level="info", pretty=False, stream=stream)
    with (
        request_context(request_id="q1", project_id="p1"),
        run_context(project_id="p1", run_id="r1", attempt=2),
    ):
        get_logger().info(LogLine.RUN_ENDED, status="completed", seconds=1.5)
    get_logger().debug(LogLine.RUN_CREATED)
    get_logger().warning(LogLine.LOOP_LAGS)
    ended, lags = lines(stream)
    assert ended.pop("timestamp").endswith("Z")
    assert ended == {
        "event": "run.ended",
        "level": "info",
        "request_id": "q1",
        "project_id": "p1",
        "run_id": "r1",
        "attempt": 2,
        "status": "completed",
        "seconds": 1.5,
    }
    assert lags.keys() == {"event", "level", "timestamp"}


async def test_tasks_keep_what_was_bound_where_they_started(stream: io.StringIO) -> None:
    configure_logging(level="info", pretty=False, stream=stream)

    async def work() -> None:
        get_logger().info(LogLine.RUN_CLAIMED)

    async with asyncio.TaskGroup() as group:
        for run_id in ("r1", "r2"):
            with run_context(project_id="p1", run_id=run_id):
                group.create_task(work())
    assert [line["run_id"] for line in lines(stream)] == ["r1", "r2"]


def test_libraries_lines_take_the_same_way(stream: io.StringIO) -> None:
    configure_logging(level="info", pretty=False, stream=stream)
    with run_context(project_id="p1", run_id="r1"):
        logging.getLogger("some.library").warning("key %s", f"Bearer {SECRET}", extra={"token": SECRET})
    logging.getLogger("httpx").info("GET https://host/?access_token=%s", SECRET)
    (line,) = lines(stream)
    assert (line["event"], line["logger"], line["run_id"]) == ("key Bearer [redacted]", "some.library", "r1")
    assert line["token"] == "[redacted]"


def test_an_exception_is_a_field(stream: io.StringIO) -> None:
    configure_logging(level="info", pretty=False, stream=stream)
    try:
        raise ValueError(f"postgresql://me:{SECRET}@host/db")
    except ValueError:
        get_logger().exception(LogLine.CLAIM_FAILED)
    (line,) = lines(stream)
    assert "ValueError: postgresql://me:[redacted]@host/db" in line["exception"]


def test_pretty_lines_hide_secrets_too(stream: io.StringIO) -> None:
    configure_logging(level="info", pretty=True, stream=stream)
    get_logger().info(LogLine.REQUEST_SERVED, headers={"Authorization": SECRET}, note=f"?access_token={SECRET}")
    assert "request.served" in stream.getvalue()
    assert SECRET not in stream.getvalue()


@pytest.mark.parametrize(
    "fields",
    [
        {"authorization": SECRET},
        {"headers": {"X-API-Key": SECRET, "Proxy-Authorization": SECRET}},
        {"headers": [("cookie", f"session_token={SECRET}")]},
        {"body": {"nested": [{"client_secret": SECRET}, {"password": SECRET}]}},
        {"access_token": SECRET},
        {"url": f"https://host/runs?access_token={SECRET}&after=1"},
        {"url": f"https://user:{SECRET}@host/"},
        {"text": f"Authorization: Bearer {SECRET}"},
        {"text": f"Authorization: Basic {SECRET}=="},
        {"text": f'{{"api_key": "{SECRET}"}}'},
        {"text": f"pk_abcd1234_{SECRET}"},
        {"text": f"sk-proj-{SECRET}"},
        {"error": ValueError(f"password={SECRET}")},
    ],
)
def test_secrets_are_struck_out_wherever_they_stand(stream: io.StringIO, fields: dict[str, Any]) -> None:
    configure_logging(level="info", pretty=False, stream=stream)
    get_logger().info(LogLine.REQUEST_SERVED, **fields)
    assert SECRET not in stream.getvalue()
    assert "[redacted]" in stream.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "3 tokens, 12 output_tokens",
        "GET /runs/0198f3a2b4c5d6e7f8091a2b/events?after=12&limit=100",
        "postgresql://perdure@/perdure?host=/var/lib/x&port=5432",
        "perdure_append_latency_seconds_bucket",
        "the run of agent customer_support_escalation_handler failed",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact_text(text) == text


def test_a_key_keeps_the_part_that_names_it() -> None:
    assert redact_text("vf_abcd1234_" + "s3cret" * 6) == "vf_abcd1234_[redacted]"


def test_counts_and_ids_are_not_secrets(stream: io.StringIO) -> None:
    configure_logging(level="info", pretty=False, stream=stream)
    get_logger().info(LogLine.RUN_ENDED, input_tokens=12, key_prefix="abcd1234", idempotency_key="order-1", token=None)
    (line,) = lines(stream)
    assert (line["input_tokens"], line["key_prefix"], line["idempotency_key"]) == (12, "abcd1234", "order-1")
