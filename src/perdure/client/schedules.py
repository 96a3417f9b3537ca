"""Runs that start by the clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from perdure.client.models import Answer
from perdure.client.projects import Projects
from perdure.client.transport import Call, Transport, url_of


class Schedule(Answer, frozen=True):
    """A schedule. `status` is `active` or `paused`; `last_error` says why the last fire has no run."""

    id: str
    project_id: str
    name: str
    status: str
    cron: str
    time_zone: str
    concurrency: str
    target: dict[str, Any]
    run_count: int
    timeout_seconds: int
    created_at: datetime
    updated_at: datetime
    max_runs: int | None = None
    input: Any = None
    config: Any = None
    next_fire_at: datetime | None = None
    last_fire_at: datetime | None = None
    last_run_id: str | None = None
    last_error: str | None = None


class TriggeredRun(Answer, frozen=True):
    """The run that a manual trigger started."""

    run_id: str
    schedule_id: str


class _Schedules(Answer, frozen=True):
    schedules: tuple[Schedule, ...]


class Schedules:
    """`client.schedules`. `project` is an id or slug; None means the caller's own project."""

    def __init__(self, transport: Transport, projects: Projects) -> None:
        self._transport = transport
        self._projects = projects

    async def create(
        self,
        name: str,
        cron: str,
        *,
        agent: str | None = None,
        target: Mapping[str, Any] | None = None,
        time_zone: str | None = None,
        input: Mapping[str, Any] | None = None,
        project: str | None = None,
        **more: Any,
    ) -> Schedule:
        """A new schedule, of an `agent` or of any `target`. `cron` has five fields.

        `more` are further members of the request: `concurrency` (`Allow`, `Forbid`, `Replace`), `max_runs`, `config` …
        """
        wanted = {"kind": "agent", "id": agent} if target is None else dict(target)
        optional = {"time_zone": time_zone, "input": input, **more}
        given = {member: value for member, value in optional.items() if value is not None}
        body = {"name": name, "cron": cron, "target": wanted, **given}
        call = Call("POST", await self._url(project), repeatable=False, body=body)
        return await self._transport.call(call, Schedule)

    async def list(self, *, project: str | None = None, status: str | None = None) -> tuple[Schedule, ...]:
        """A project's schedules."""
        call = Call("GET", await self._url(project), repeatable=True, query={"status": status})
        return (await self._transport.call(call, _Schedules)).schedules

    async def get(self, schedule_id: str, *, project: str | None = None) -> Schedule:
        """One schedule."""
        call = Call("GET", await self._url(project, schedule_id), repeatable=True)
        return await self._transport.call(call, Schedule)

    async def pause(self, schedule_id: str, *, project: str | None = None) -> Schedule:
        """Let it start nothing until it is resumed."""
        return await self._change(schedule_id, project, "paused")

    async def resume(self, schedule_id: str, *, project: str | None = None) -> Schedule:
        """Let it go on with its next fire."""
        return await self._change(schedule_id, project, "active")

    async def trigger(
        self,
        schedule_id: str,
        *,
        run_name: str = "manual",
        idempotency_key: str | None = None,
        project: str | None = None,
    ) -> TriggeredRun:
        """Start a run now, whatever the clock says. The same `idempotency_key` starts one."""
        body = {"run_name": run_name, "idempotency_key": idempotency_key or uuid4().hex}
        call = Call("POST", await self._url(project, schedule_id, "runs"), repeatable=True, body=body)
        return await self._transport.call(call, TriggeredRun)

    async def delete(self, schedule_id: str, *, project: str | None = None) -> None:
        """End a schedule. Its runs stay."""
        await self._transport.done(Call("DELETE", await self._url(project, schedule_id), repeatable=False))

    async def _change(self, schedule_id: str, project: str | None, status: str) -> Schedule:
        url = await self._url(project, schedule_id)
        return await self._transport.call(Call("PATCH", url, repeatable=True, body={"status": status}), Schedule)

    async def _url(self, project: str | None, *more: str) -> str:
        ref = project if project is not None else (await self._projects.own()).id
        return url_of("projects", ref, "schedules", *more)
