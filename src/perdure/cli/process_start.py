"""What `perdure dev`, `serve` and `worker` do: read the settings, set up logging, and run the composition root."""

from __future__ import annotations

import asyncio
import errno
import sys
from collections.abc import Callable
from pathlib import Path

import uvloop
from pydantic import SecretStr

from perdure.app import run, wall_clock
from perdure.cli.access import Access
from perdure.cli.configuration import read_settings
from perdure.cli.dev_access import read_dev_access, write_dev_access
from perdure.cli.failures import told
from perdure.cli.output import fail, note, write_line
from perdure.cli.welcome import welcome
from perdure.domain.api_key import new_token
from perdure.http.dashboard.build import FOLDER as DASHBOARD
from perdure.http.dashboard.build import INDEX
from perdure.http.dashboard.sign_in import OneTimeSignIn
from perdure.settings import Settings
from perdure.telemetry.logs import configure_logging


def dev(access: Access, app_spec: str | None, *, host: str | None, port: int | None) -> None:
    """Server and worker in one process. The key that is made up is kept in the data folder, and used again."""
    settings = read_settings(access, app=app_spec, host=host, port=port)
    made_up = settings.bootstrap_api_key is None
    if settings.bootstrap_api_key is None:
        before = read_dev_access(settings.data_dir)
        token = before.api_key if before is not None else new_token()
        settings = settings.model_copy(update={"bootstrap_api_key": SecretStr(token)})
    else:
        token = settings.bootstrap_api_key.get_secret_value()

    sign_in = OneTimeSignIn(token, wall_clock)

    def ready(url: str) -> None:
        here = url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
        link = f"{here}/ui/#code={sign_in.issue()}" if (DASHBOARD / INDEX).exists() else None
        for line in welcome(here, token if made_up else None, _lend(settings.data_dir, here, token), link):
            write_line(line)

    _run(settings, http=True, worker=True, dev=True, on_ready=ready, one_time_sign_in=sign_in)


def _lend(data_dir: Path, url: str, token: str) -> Path | None:
    """Let `perdure runs …` on this data folder find server and key; None where the folder cannot be written."""
    try:
        return write_dev_access(data_dir, url, token)
    except OSError as error:
        note(f"Cannot write into {data_dir}: {error.strerror}. Other commands need PERDURE_API_KEY.")
        return None


def serve(access: Access, *, host: str | None, port: int | None) -> None:
    """The HTTP API alone."""
    settings = read_settings(access, host=host, port=port)
    _run(settings, http=True, worker=False, dev=False, on_ready=lambda url: note(f"Perdure serves {url}"))


def worker(access: Access, app_spec: str | None) -> None:
    """A worker alone."""
    settings = read_settings(access, app=app_spec)
    _run(settings, http=False, worker=True, dev=False, on_ready=lambda _: note("The worker executes runs."))


def _run(
    settings: Settings,
    *,
    http: bool,
    worker: bool,
    dev: bool,
    on_ready: Callable[[str], None],
    one_time_sign_in: OneTimeSignIn | None = None,
) -> None:
    configure_logging(level=settings.log_level, pretty=settings.pretty_logs(dev=dev), stream=sys.stderr)
    with told(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(
                run(
                    settings,
                    http=http,
                    worker=worker,
                    app_spec=settings.app,
                    dev=dev,
                    on_ready=on_ready,
                    one_time_sign_in=one_time_sign_in,
                )
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                fail(f"Port {settings.port} is taken.", "Another server may run here. Choose one: PERDURE_PORT=4001")
            raise
