"""Commands as users type them, in this process, against the real application behind a real HTTP server."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from perdure.cli.main import app
from perdure.telemetry.logs import configure_logging
from tests.http.runs_app import ADMIN_KEY, Api, api, served


@dataclass(frozen=True, slots=True)
class Done:
    """What a command wrote, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Standard output as lines of JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(slots=True)
class Terminal:
    """Runs commands in a thread, with an environment of their own."""

    environment: dict[str, str] = field(default_factory=dict)

    async def run(self, *words: str, stdin: str | None = None) -> Done:
        """Run `perdure …` to its end."""

        def invoke() -> Done:
            try:
                return self._invoke(words, stdin)
            finally:
                log_errors_only()

        return await asyncio.wait_for(asyncio.to_thread(invoke), 60)

    def _invoke(self, words: tuple[str, ...], stdin: str | None) -> Done:
        result = CliRunner().invoke(app, list(words), input=stdin, env=self.environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, result.stderr)


def log_errors_only() -> None:
    """The server under test is in this process, and its log must not be in a command's output. A command's own logging
    must not outlive it either: it writes into what stood for standard error meanwhile."""
    configure_logging(level="error", pretty=False, stream=sys.__stderr__ or sys.stderr)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Without log lines from here on; first of all, because some parts keep the logger that they begin with."""
    handlers, level, before = list(logging.root.handlers), logging.root.level, structlog.get_config()
    log_errors_only()
    yield
    structlog.configure(**before)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture
async def at_work(quiet: None, database: str) -> AsyncIterator[Api]:
    """The whole application on a database of the test's own."""
    async with api(database) as running:
        yield running


@pytest.fixture
async def terminal(at_work: Api, database: str, tmp_path: Path) -> AsyncIterator[Terminal]:
    """A terminal whose environment names a running server and its database."""
    async with served(at_work.app) as url:
        yield Terminal(
            {
                "PERDURE_API_URL": url,
                "PERDURE_API_KEY": ADMIN_KEY,
                "PERDURE_DATABASE_URL": database,
                "PERDURE_DATA_DIR": str(tmp_path / "data"),
            }
        )
