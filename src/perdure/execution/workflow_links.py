"""What a workflow's attempt needs of the server beside its log: its children, and signals that come while it works."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from perdure.domain.ids import RunId
from perdure.domain.stored_run import Run
from perdure.execution.attempt import Attempt
from perdure.services import workflows
from perdure.services.core import Core
from perdure.services.workflows import ChildRequest


class WorkflowLinks(Protocol):
    """The links of one attempt."""

    async def start_child(self, wanted: ChildRequest) -> str:
        """The id of the child, made or found. Raises what `services.workflows.start_child` raises."""

    async def ended_children(self, run_ids: Iterable[str]) -> dict[str, Run]:
        """Those of the children that have ended."""

    async def new_signals(self) -> list[tuple[str, object]]:
        """Name and payload of the signals that came since the attempt began, or since this was asked last."""


class ServerLinks:
    """The links of an attempt on this server."""

    def __init__(self, core: Core, attempt: Attempt) -> None:
        self._core = core
        self._run = attempt.run
        self._read_to = attempt.claimed.latest_event_id

    async def start_child(self, wanted: ChildRequest) -> RunId:
        """The id of the child, made or found."""
        return await workflows.start_child(self._core, self._run, wanted)

    async def ended_children(self, run_ids: Iterable[str]) -> dict[str, Run]:
        """Those of the children that have ended."""
        return await workflows.ended_children(self._core, self._run.project_id, run_ids)

    async def new_signals(self) -> list[tuple[str, object]]:
        """Name and payload of the signals that came meanwhile."""
        found, self._read_to = await workflows.signals_after(self._core, self._run.key, self._read_to)
        return found
