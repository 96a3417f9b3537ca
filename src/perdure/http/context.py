"""What a request finds in the application: typed access to `app.state`, filled by `create_app`."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from perdure.services.core import Core


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """The edge's own numbers: seconds, and milliseconds where a name says so."""

    heartbeat_seconds: float = 15.0
    """How long an event stream may stay silent."""
    recheck_seconds: float = 10.0
    """How often an event stream asks whether its reader may still read; what it is told may be five seconds old."""
    retry_ms: int = 1_000
    """How long a client of an event stream waits before it reconnects."""
    public_url: str | None = None
    """Where clients reach the server, without a slash at its end. None: what a request says."""
    cancel_wait_seconds: float = 2.0
    """How long POST /runs/{run_id}/cancel waits for the run's worker."""


def core_of(request: Request) -> Core:
    """The parts that services work with."""
    core: Core = request.app.state.core
    return core


def settings_of(request: Request) -> HttpSettings:
    """The edge's settings."""
    settings: HttpSettings = request.app.state.settings
    return settings


def base_url_of(request: Request) -> str:
    """Where clients reach the server, without a slash at its end: what the settings say, else the request."""
    return settings_of(request).public_url or str(request.base_url).rstrip("/")
