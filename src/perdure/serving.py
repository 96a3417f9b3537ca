"""The part of a process that serves HTTP, from the open port to the last stream."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager

import uvicorn

from perdure.execution.engines.base import Working
from perdure.http.application import create_app
from perdure.http.context import HttpSettings
from perdure.http.dashboard.sign_in import OneTimeSignIn
from perdure.services.authentication import Authenticator
from perdure.services.core import Core
from perdure.services.health import Health
from perdure.services.tokens import JwtSettings
from perdure.settings import Settings
from perdure.telemetry import LogLine, get_logger

HTTP_STOP_SECONDS = 5
KEEP_ALIVE_SECONDS = 75
"""How long a connection may rest. Clients (Node: 4) and load balancers (60) should give theirs up first: a request must
not meet a connection that is just being closed."""


async def serve(
    core: Core,
    settings: Settings,
    stack: AsyncExitStack,
    stopping: asyncio.Event,
    on_ready: Callable[[str], None],
    working: Working | None,
    one_time_sign_in: OneTimeSignIn | None,
) -> None:
    """Serve HTTP until told to stop; then end the streams, so that their clients reconnect elsewhere, and close."""
    listening = socket.create_server(
        (settings.host, settings.port), family=socket.AF_INET6 if ":" in settings.host else socket.AF_INET, backlog=2048
    )
    stack.callback(listening.close)
    executes = None if working is None else lambda: working.alive
    health = Health(core, max_lag_ms=settings.ready_loop_lag_ms, worker_running=executes)
    await health.start()
    stack.push_async_callback(health.stop)
    application = create_app(
        core,
        Authenticator(core, _jwt(settings)),
        health,
        HttpSettings(heartbeat_seconds=settings.heartbeat_seconds, public_url=settings.public_url),
        one_time_sign_in,
    )
    server = _Server(
        uvicorn.Config(
            application,
            loop="none",
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=HTTP_STOP_SECONDS,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listening]), name="http")
    await server.ready.wait()
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{listening.getsockname()[1]}"
    get_logger().info(LogLine.SERVER_READY, url=url)
    on_ready(url)
    waiting = asyncio.create_task(stopping.wait())
    await asyncio.wait((waiting, serving), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    get_logger().info(LogLine.SERVER_STOPPING)
    await core.hub.stop()
    application.stop_waiting()
    server.should_exit = True
    await serving


def _jwt(settings: Settings) -> JwtSettings:
    return JwtSettings(
        secret=settings.jwt_secret.get_secret_value() if settings.jwt_secret is not None else None,
        jwks_url=settings.jwks_url,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
    )


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: this module decides in which order things stop. `ready`: it accepts."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
