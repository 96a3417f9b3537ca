"""What an operator sees: log lines, metrics and spans. `names` is the contract; no other module spells a name.

`perdure.telemetry.tracing` sets up that spans are sent away; OpenTelemetry's SDK is loaded where that is asked for.
"""

from __future__ import annotations

from perdure.telemetry.logs import (
    LogFormat,
    configure_logging,
    get_logger,
    redact_text,
    request_context,
    run_context,
)
from perdure.telemetry.metrics import Metrics
from perdure.telemetry.names import LogLine, MetricName, SpanName
from perdure.telemetry.spans import ModelCall, TracedRun, Tracing

__all__ = [
    "LogFormat",
    "LogLine",
    "MetricName",
    "Metrics",
    "ModelCall",
    "SpanName",
    "TracedRun",
    "Tracing",
    "configure_logging",
    "get_logger",
    "redact_text",
    "request_context",
    "run_context",
]
