"""What can be run: agents, workflows, tasks and evals, and what each takes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from perdure.client.models import Answer
from perdure.client.transport import Call, Transport, url_of


class ServingWorker(Answer, frozen=True):
    """A worker that serves an entry now, and the version of its code."""

    id: str
    heartbeat_at: datetime
    version: str | None = None


class CatalogEntry(Answer, frozen=True):
    """Something that can be run. `kind` is `agent`, `workflow`, `task` or `eval`.

    `input_schema` is the JSON Schema of a workflow's input, or of a task's or an eval's config (None: any object);
    `version` is that of the worker that served it last. Without `workers` its runs wait for one.
    """

    kind: str
    name: str
    last_seen_at: datetime
    workers: tuple[ServingWorker, ...]
    description: str | None = None
    version: str | None = None
    input_schema: dict[str, Any] | None = None

    @property
    def target(self) -> str:
        """As `runs.start` takes it: `<kind>:<name>`."""
        return f"{self.kind}:{self.name}"


class _Entries(Answer, frozen=True):
    data: tuple[CatalogEntry, ...]


class Catalog:
    """`client.catalog`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(self) -> tuple[CatalogEntry, ...]:
        """All that some worker serves or served, by kind and name."""
        return (await self._transport.call(Call("GET", url_of("catalog"), repeatable=True), _Entries)).data
