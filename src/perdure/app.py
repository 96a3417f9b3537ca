"""The composition root: the only place that builds pools, services and engines, and that starts and stops them.

`perdure dev` is `serve` and `worker` in one process with an embedded PostgreSQL; the parts are the same.
"""

from __future__ import annotations

import asyncio
import gc
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from importlib.metadata import version
from time import time_ns
from typing import TYPE_CHECKING

from perdure.blobs.blobs import Blobs
from perdure.blobs.place import BlobPlace
from perdure.domain.ids import Clock, RunKey
from perdure.execution.end_notices import EndNotices
from perdure.execution.engines.base import Engine
from perdure.execution.engines.opening import TemporalPlace, open_engine
from perdure.execution.file_maintenance import FileMaintenance
from perdure.execution.hands import WorkerOptions
from perdure.execution.maintenance import Maintenance
from perdure.execution.push import PushRuntimes
from perdure.lazy import Lazy
from perdure.ledger.appender import Appender
from perdure.ledger.hub import Hub
from perdure.ledger.notify import CHANNELS, LOG_CHANNEL, Notifier, Router, run_item, run_of
from perdure.services.core import Core
from perdure.services.egress import Egress
from perdure.services.keys import ensure_bootstrap_key
from perdure.services.projects import ensure_default_project
from perdure.settings import Settings, environment
from perdure.store.database import Database
from perdure.store.embedded import EmbeddedPostgres, start_embedded
from perdure.store.embedded_user import EmbeddedPostgresError
from perdure.store.notifications import Listener
from perdure.store.schema import is_newest, newest_revision
from perdure.telemetry import LogLine, Metrics, Tracing, get_logger
from perdure.telemetry.tracing import configure_tracing

if TYPE_CHECKING:
    from perdure import serving, working
    from perdure.execution.registry import App
    from perdure.http.dashboard.sign_in import OneTimeSignIn
    from perdure.store import migrate
else:
    # An API server executes nothing and a worker speaks no HTTP: each starts sooner without the other's part.
    serving = Lazy("perdure.serving")
    working = Lazy("perdure.working")
    migrate = Lazy("perdure.store.migrate")

LEASE_SECONDS = 30.0
DEV_LEASE_SECONDS = 10.0
DEV_DRAIN_SECONDS = 2.0
EMBEDDED_CHECK_SECONDS = 1.0

APPEND_LANES = 2
"""Connections that group-commit appends: while one waits for the disk, the other gathers."""


def wall_clock() -> int:
    """The time now, integer milliseconds since 1970."""
    return time_ns() // 1_000_000


async def _migrate(dsn: str) -> None:
    if not await is_newest(dsn):
        await migrate.upgrade(dsn)
    get_logger().info(LogLine.DATABASE_MIGRATED, revision=newest_revision())


@asynccontextmanager
async def open_core(
    dsn: str,
    *,
    pool_size: int = 10,
    follower_room: int = 4 * 1024 * 1024,
    egress_allow: Sequence[str] = (),
    clock: Clock = wall_clock,
    blobs: Blobs | None = None,
) -> AsyncIterator[Core]:
    """The parts that services work with, started; stopped in reverse order at the end. Raises Unavailable.

    `blobs`: where the files of runs are; a caller that touches none may leave it out.
    """
    metrics = Metrics()
    origin = secrets.token_hex(8)
    async with AsyncExitStack() as stack:
        database = await _database(stack, dsn, pool_size, "perdure")
        router = Router(origin)
        hub = Hub(await _database(stack, dsn, 2, "perdure-hub"), metrics, follower_room)
        notifier = Notifier(await _database(stack, dsn, 1, "perdure-notify"), origin)

        def published(keys: Iterable[RunKey]) -> None:
            grown = list(keys)
            hub.grew(grown)
            notifier.say(LOG_CHANNEL, map(run_item, grown))

        lanes = await _database(stack, dsn, APPEND_LANES, "perdure-append")
        appender = Appender(lanes, clock, published, metrics, APPEND_LANES)
        router.on(LOG_CHANNEL, lambda items: hub.grew(filter(None, map(run_of, items))))
        router.after_gap(hub.all_grew)
        listener = Listener(dsn, CHANNELS, router.heard, router.lost)
        for part in (notifier, hub, appender, listener):
            await part.start()
            stack.push_async_callback(part.stop)
        kept = blobs if blobs is not None else Blobs()
        stack.push_async_callback(kept.close)
        yield Core(
            dsn, database, appender, hub, notifier, router, metrics, clock, egress=Egress(egress_allow), blobs=kept
        )


async def _database(stack: AsyncExitStack, dsn: str, size: int, name: str) -> Database:
    database = await Database.open(dsn, size=size, name=name)
    stack.push_async_callback(database.close)
    return database


async def run(
    settings: Settings,
    *,
    http: bool,
    worker: bool,
    app_spec: str | None,
    dev: bool,
    on_ready: Callable[[str], None],
    one_time_sign_in: OneTimeSignIn | None = None,
) -> None:
    """Run a process until it is told to stop (SIGTERM, SIGINT), then stop it cleanly.

    `http`: serve the API. `worker`: execute runs of the demo agents and of the user's `App` (`app_spec`: a Python file
    or `module:attribute`). `dev`: migrate by itself and use short times. `on_ready` is told the URL (or the worker's
    database) as soon as runs are accepted and executed. Raises AppNotLoaded, Unavailable,
    EmbeddedPostgresError, OSError (the port is taken).
    """
    role = "+".join(name for name, on in (("http", http), ("worker", worker)) if on)
    get_logger().info(LogLine.SERVER_STARTING, version=version("perdure"), role=role, engine=settings.engine)
    stopping = asyncio.Event()
    application = working.served_agents(settings, app_spec) if worker else None
    async with AsyncExitStack() as stack:
        stack.enter_context(_told_to_stop(stopping))
        dsn = await _database_url(settings, stack)
        if dev or settings.database_url is None:
            await _migrate(dsn)
        tracing = _tracing(stack)
        core = await stack.enter_async_context(
            open_core(
                dsn,
                pool_size=settings.database_pool_size,
                follower_room=settings.follower_buffer_bytes,
                egress_allow=settings.egress_allow,
                blobs=_blobs(settings),
            )
        )
        await _first_project(core, settings)
        maintenance = Maintenance(core, timedelta(seconds=settings.cancel_grace_seconds))
        await maintenance.start()
        stack.push_async_callback(maintenance.stop)
        files = FileMaintenance(core)
        await files.start()
        stack.push_async_callback(files.stop)
        notices = EndNotices(core)
        await notices.start()
        stack.push_async_callback(notices.stop)
        push_runtimes = PushRuntimes(core)
        await push_runtimes.start()
        stack.push_async_callback(push_runtimes.stop)
        engine = await _start_engine(core, settings, stack, application, dev=dev)
        at_work = None
        if application is not None:
            at_work = await working.start_work(core, engine, application, settings, app_spec, tracing)
            stack.push_async_callback(at_work.stop)
        _settle_garbage()
        if http:
            await serving.serve(core, settings, stack, stopping, on_ready, at_work, one_time_sign_in)
        else:
            on_ready("worker")
            await stopping.wait()
    get_logger().info(LogLine.SERVER_STOPPED)


def _settle_garbage() -> None:
    """Take what start-up made out of the collector's sight, and let it look less often.

    Requests make many short-lived objects and few cycles: by default a quarter of an append's processor time went into
    collections that found nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


async def _database_url(settings: Settings, stack: AsyncExitStack) -> str:
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    embedded = await asyncio.to_thread(start_embedded, settings.data_dir)
    stack.push_async_callback(asyncio.to_thread, embedded.stop)
    guard = asyncio.create_task(_keep_running(embedded), name="embedded-guard")
    stack.push_async_callback(_cancelled, guard)
    return embedded.dsn


async def _keep_running(embedded: EmbeddedPostgres) -> None:
    """An embedded PostgreSQL that was killed is started again; its socket stays where it is."""
    while True:
        await asyncio.sleep(EMBEDDED_CHECK_SECONDS)
        if embedded.pid is None:
            with suppress(EmbeddedPostgresError):
                await asyncio.to_thread(embedded.ensure_running)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _tracing(stack: AsyncExitStack) -> Tracing:
    exporting = configure_tracing(environment())
    if exporting is None:
        return Tracing()
    stack.callback(exporting.close)
    return exporting.tracing


async def _first_project(core: Core, settings: Settings) -> None:
    project = await ensure_default_project(core)
    if settings.bootstrap_api_key is not None:
        key = await ensure_bootstrap_key(core, project.id, settings.bootstrap_api_key.get_secret_value())
        get_logger().info(LogLine.KEY_BOOTSTRAPPED, prefix=key.prefix)


async def _start_engine(
    core: Core, settings: Settings, stack: AsyncExitStack, application: App | None, *, dev: bool
) -> Engine:
    options = WorkerOptions(
        concurrency=settings.worker_concurrency,
        lease_seconds=settings.lease_seconds or (DEV_LEASE_SECONDS if dev else LEASE_SECONDS),
        drain_seconds=min(settings.drain_seconds, DEV_DRAIN_SECONDS) if dev else settings.drain_seconds,
        version=None if application is None else application.version,
    )
    engine = open_engine(settings.engine, core, options, _temporal(settings))
    await engine.start()
    stack.push_async_callback(engine.stop)
    return engine


def _temporal(settings: Settings) -> TemporalPlace:
    api_key = settings.temporal_api_key
    return TemporalPlace(
        address=settings.temporal_address,
        namespace=settings.temporal_namespace,
        task_queue=settings.temporal_task_queue,
        api_key=None if api_key is None else api_key.get_secret_value(),
        tls=settings.temporal_tls,
        tls_ca=settings.temporal_tls_ca,
        tls_cert=settings.temporal_tls_cert,
        tls_key=settings.temporal_tls_key,
        tls_server_name=settings.temporal_tls_server_name,
    )


def _blobs(settings: Settings) -> Blobs:
    secret = settings.blob_secret_access_key
    place = BlobPlace(
        url=settings.blob_url or (settings.data_dir.absolute() / "blobs").as_uri(),
        endpoint=settings.blob_endpoint,
        region=settings.blob_region,
        access_key_id=settings.blob_access_key_id,
        secret_access_key=None if secret is None else secret.get_secret_value(),
    )
    blobs = Blobs(place, limit=settings.blob_max_bytes)
    blobs.open()
    return blobs


@contextmanager
def _told_to_stop(stopping: asyncio.Event) -> Iterator[None]:
    """Set `stopping` at the first SIGTERM or Ctrl-C; the second ends the process at once."""
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        stopping.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
