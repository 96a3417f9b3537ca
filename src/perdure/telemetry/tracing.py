"""Whether spans are sent away, and where to: what the standard `OTEL_*` variables say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from perdure.lazy import Lazy
from perdure.telemetry.logs import get_logger
from perdure.telemetry.names import LogLine

if TYPE_CHECKING:
    from perdure.telemetry import exporting
    from perdure.telemetry.exporting import Exporting
else:
    exporting = Lazy("perdure.telemetry.exporting")

_PROTOCOL = "http/protobuf"
_TRACES_PATH = "v1/traces"


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
    service = env.get("OTEL_SERVICE_NAME")
    if exporter == "console":
        return exporting.to_console(service)
    protocol = env.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or env.get("OTEL_EXPORTER_OTLP_PROTOCOL") or _PROTOCOL
    if protocol != _PROTOCOL:
        get_logger().warning(LogLine.TRACING_PROTOCOL, asked=protocol)
    get_logger().info(LogLine.TRACING_ON, exporter="otlp", endpoint=endpoint)
    return exporting.over_http(service, endpoint)


def _endpoint(env: Mapping[str, str]) -> str | None:
    if traces := env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        return traces
    if base := env.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return f"{base.rstrip('/')}/{_TRACES_PATH}"
    return None
