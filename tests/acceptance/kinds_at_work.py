"""Runs of every kind on a site, and the endpoint that the agent elsewhere is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

from tests.acceptance.processes import PROJECT, Site, eventually

EVERY_KIND: Final = Path(__file__).with_name("every_kind.py")
KINDS: Final = ("agent", "workflow", "task", "eval", "remote")
RECORDED: Final = ("agent", "workflow", "eval", "remote")
"""The kinds whose first part is recorded, and must never be done again."""

REQUESTS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "workflow": ("workflow", {"workflow_id": "workflow", "target": "workflow:workflow", "input": {}}),
    "quick": ("workflow", {"workflow_id": "quick", "target": "workflow:quick", "input": {}}),
    "task": ("task", {"target": "task:task"}),
    "eval": ("eval", {"target": "eval:eval", "config": {"max_concurrency": 1}}),
}


class _Endpoint(BaseHTTPRequestHandler):
    """AG-UI: says one message, and another one when it is let go; who has the first is told only the second."""

    folder: Path

    def do_POST(self) -> None:
        given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        ids = {"threadId": given["threadId"], "runId": given["runId"]}
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            self._say({"type": "RUN_STARTED", **ids})
            if not any(message["role"] == "assistant" for message in given["messages"]):
                self._did("remote:first")
                self._say({"type": "TEXT_MESSAGE_START", "messageId": "first", "role": "assistant"})
                self._say({"type": "TEXT_MESSAGE_CONTENT", "messageId": "first", "delta": "one"})
                self._say({"type": "TEXT_MESSAGE_END", "messageId": "first"})
            # Only now is the first one recorded: it is complete when another thing begins.
            self._say({"type": "TEXT_MESSAGE_START", "messageId": "second", "role": "assistant"})
            self._did("remote:second")
            while not (self.folder / "go").exists():
                Event().wait(0.05)
            self._say({"type": "TEXT_MESSAGE_END", "messageId": "second"})
            self._say({"type": "RUN_FINISHED", **ids})
        except OSError:
            return  # the caller is gone

    def _say(self, event: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())

    def _did(self, what: str) -> None:
        with (self.folder / "effects").open("a") as file:
            file.write(f"{what} -\n")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is written."""


@contextmanager
def endpoint(folder: Path) -> Iterator[str]:
    """The agent elsewhere; its address."""
    handler = type("Handler", (_Endpoint,), {"folder": folder})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def start(place: Site, name: str, run_id: str | None = None) -> str:
    """A run of one kind; its id."""
    if name not in REQUESTS:
        place.create(name, run_id or name)
        return run_id or name
    kind, request = REQUESTS[name]
    body = {"kind": kind, "public_id": run_id or name, "owner": {"kind": "project", "id": PROJECT}, "request": request}
    with place.client() as client:
        answer = client.post("/runs", json=body)
        assert answer.status_code == 202, answer.text
    return run_id or name


def done(place: Site, what: str) -> int:
    """How often something was done, in whatever version."""
    return sum(line.split()[0] == what for line in place.effects())


def in_second(place: Site, times: int) -> None:
    """Wait until a run of every kind does its second part for so many times, with the first recorded."""
    eventually(lambda: all(done(place, f"{kind}:second") >= times for kind in KINDS), f"all kinds go on ({times})")
    eventually(lambda: str(place.events("remote")).count("TEXT_MESSAGE_START") > times, "the agent elsewhere goes on")


def all_completed(place: Site) -> None:
    """Let them go: every kind completes, and what was recorded was done once."""
    place.let("go")
    for kind in KINDS:
        run = place.ended(kind)
        assert run["status"] == "completed", (kind, run["error"])
    assert {kind: done(place, f"{kind}:first") for kind in RECORDED} == dict.fromkeys(RECORDED, 1)
