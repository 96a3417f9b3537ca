"""Agents that are reached by a URL."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from perdure.client.models import Answer
from perdure.client.projects import Projects
from perdure.client.transport import Call, Transport, url_of


class RemoteAgent(Answer, frozen=True):
    """An AG-UI endpoint that the server's workers serve. The values of its headers are never shown."""

    name: str
    url: str
    header_names: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    description: str | None = None


class _Agents(Answer, frozen=True):
    agents: tuple[RemoteAgent, ...]


class RemoteAgents:
    """`client.remote_agents`. `project` is an id or slug; None means the caller's own project."""

    def __init__(self, transport: Transport, projects: Projects) -> None:
        self._transport = transport
        self._projects = projects

    async def put(
        self,
        name: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        description: str | None = None,
        project: str | None = None,
    ) -> RemoteAgent:
        """Add an agent, or replace the one of that name."""
        body = {"url": url, "headers": dict(headers or {}), "description": description}
        call = Call("PUT", await self._url(project, name), repeatable=True, body=body)
        return await self._transport.call(call, RemoteAgent)

    async def list(self, *, project: str | None = None) -> tuple[RemoteAgent, ...]:
        """A project's agents, by name."""
        call = Call("GET", await self._url(project), repeatable=True)
        return (await self._transport.call(call, _Agents)).agents

    async def delete(self, name: str, *, project: str | None = None) -> None:
        """Forget an agent. Its runs stay."""
        await self._transport.done(Call("DELETE", await self._url(project, name), repeatable=False))

    async def _url(self, project: str | None, *more: str) -> str:
        ref = project if project is not None else (await self._projects.own()).id
        return url_of("projects", ref, "remote-agents", *more)
