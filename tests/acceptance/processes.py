"""Real Perdure processes for the fault tests: started as users start them, killed as machines kill them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

KEY = "pd_acceptance0000_" + "k" * 40
PROJECT = "00000000-0000-4000-8000-000000000001"
AGENTS = Path(__file__).parent / "agents.py"
PERDURE = Path(sys.executable).parent / "perdure"
LEASE_SECONDS = 2
PATIENCE = 60.0


def free_port() -> int:
    """A loopback port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def eventually(check: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Wait until `check()` holds."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


@dataclass
class Process:
    """One started process and its log."""

    popen: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        """`kill -9`."""
        self.popen.kill()
        self.popen.wait()

    def freeze(self) -> None:
        """SIGSTOP."""
        self.popen.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        """SIGCONT."""
        self.popen.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """SIGTERM, and its exit code."""
        self.popen.terminate()
        return self.popen.wait(PATIENCE)

    def says(self, what: str) -> bool:
        """Whether its log holds some text."""
        return what in self.log.read_text()


@dataclass
class Site:
    """A folder, a database, and the processes that work on them."""

    folder: Path
    environment: dict[str, str]
    agents: Path = AGENTS
    port: int = field(default_factory=free_port)
    processes: list[Process] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where the server listens."""
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> httpx.Client:
        """A client that may do everything. It reads no certificates: those who poll would do little else."""
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=10, verify=False)

    def serve(self) -> Process:
        """`perdure serve`, ready."""
        process = self._start("serve")
        self.ready(process)
        return process

    def dev(self) -> Process:
        """`perdure dev` with the test's agents, ready."""
        process = self._start("dev", str(self.agents))
        self.ready(process)
        return process

    def worker(self) -> Process:
        """`perdure worker` with the test's agents, claiming."""
        process = self._start("worker", str(self.agents))
        eventually(lambda: process.says("worker.started"), "the worker starts")
        return process

    def ready(self, process: Process) -> None:
        """Wait for /readyz."""

        def answers() -> bool:
            assert process.popen.poll() is None, process.log.read_text()
            try:
                return httpx.get(f"{self.url}/readyz", timeout=2, verify=False).status_code == 200
            except httpx.TransportError:
                return False

        eventually(answers, "the server is ready")

    def create(self, agent: str, run_id: str, **request: object) -> None:
        """Start a run."""
        body: dict[str, Any] = {
            "kind": "agent",
            "owner": {"kind": "project", "id": PROJECT},
            "public_id": run_id,
            "request": {"mode": "agent", "agent_id": agent, **request},
        }
        if "initial_status" not in request:
            context = {"project_id": None, "branch_id": None}
            body["request"] |= {"input": {"messages": [{"role": "user", "content": "go"}], "context": context}}
        with self.client() as client:
            client.post("/runs", json=body).raise_for_status()

    def run(self, run_id: str) -> dict[str, Any]:
        """A run as the server shows it."""
        with self.client() as client:
            answer = client.get(f"/runs/{run_id}").raise_for_status()
        run: dict[str, Any] = answer.json()
        return run

    def ended(self, run_id: str, seconds: float = PATIENCE) -> dict[str, Any]:
        """A run, as soon as it has ended."""
        eventually(
            lambda: self.run(run_id)["status"] in ("completed", "failed", "cancelled"), f"{run_id} ends", seconds
        )
        return self.run(run_id)

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """All public events of a run, in the pages of the server."""
        found: list[dict[str, Any]] = []
        after: str | None = "0"
        with self.client() as client:
            while after is not None:
                page = client.get(f"/runs/{run_id}/events", params={"after_event_id": after, "limit": 500})
                body = page.raise_for_status().json()
                found += body["data"]
                after = body["page_info"]["next"]
        return found

    def effects(self) -> list[str]:
        """What the agents' tools really did."""
        file = self.folder / "effects"
        return file.read_text().splitlines() if file.exists() else []

    def let(self, name: str) -> None:
        """Open a gate."""
        (self.folder / name).touch()

    def _start(self, *arguments: str) -> Process:
        log = self.folder / f"{len(self.processes)}-{arguments[0]}.log"
        with log.open("wb") as output:
            popen = subprocess.Popen(
                [str(PERDURE), *arguments],
                env={**os.environ, **self.environment, "PERDURE_PORT": str(self.port)},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process = Process(popen, log)
        self.processes.append(process)
        return process


@contextmanager
def site(folder: Path, agents: Path = AGENTS, **environment: str) -> Iterator[Site]:
    """A site; `agents` is the file that its workers load. Whatever it started is killed at the end."""
    given = {
        "PERDURE_DATA_DIR": str(folder / "data"),
        "PERDURE_BOOTSTRAP_API_KEY": KEY,
        "PERDURE_LEASE_SECONDS": str(LEASE_SECONDS),
        "PERDURE_LOG_FORMAT": "json",
        "PERDURE_TEST_FOLDER": str(folder),
        **environment,
    }
    made = Site(folder, given, agents)
    try:
        yield made
    finally:
        for process in made.processes:
            if process.popen.poll() is None:
                process.kill()
