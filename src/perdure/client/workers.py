"""External workers: programs that take runs over HTTP, under a lease."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Literal

from perdure.client.errors import ApiError, ClientError, Unreachable
from perdure.client.models import Answer
from perdure.client.projects import Projects
from perdure.client.retry import WORTH_RETRYING
from perdure.client.transport import Call, Transport, url_of

_RENEWALS_PER_LEASE = 3


class RequestSnapshot(Answer, frozen=True, rename="camel"):
    """What a run is asked to do."""

    messages: tuple[dict[str, Any], ...] = ()
    tools: tuple[Any, ...] = ()
    context: tuple[Any, ...] = ()
    forwarded_props: dict[str, Any] | None = None


class ClaimedRun(Answer, frozen=True):
    """A run in a worker's hands. Send its `fence` with appends and with the run's end."""

    run_id: str
    project_id: str
    status: str
    request_snapshot: RequestSnapshot
    latest_event_id: int
    latest_external_event_sequence: int
    attempt: int
    fence: int
    conversation_id: str | None = None
    message_id: str | None = None
    agent_id: str | None = None
    worker_session: dict[str, Any] | None = None


class _Registered(Answer, frozen=True):
    worker: dict[str, Any]
    token: str


class _Claim(Answer, frozen=True):
    run: ClaimedRun | None


@dataclass(frozen=True, slots=True)
class HeldRun:
    """A claimed run whose lease is renewed in the background. `lost` is set once another worker may have it, or
    somebody cancelled it: stop working on it then."""

    run: ClaimedRun
    lost: asyncio.Event = field(default_factory=asyncio.Event)


class Worker:
    """A registered worker. Its runs are appended to and completed with the client's own key, and the claim's fence."""

    def __init__(self, transport: Transport, worker_id: str, token: str) -> None:
        self.id = worker_id
        self._transport = transport
        self._headers = {"authorization": f"Bearer {token}"}

    async def claim(self, *, lease_seconds: int = 60, wait_seconds: int = 0) -> ClaimedRun | None:
        """Take a run, waiting for one up to `wait_seconds` (fewer than the client's timeout); None if there is none."""
        body = {"lease_duration_seconds": lease_seconds, "wait_seconds": wait_seconds}
        return (await self._transport.call(self._call("POST", "claim", body=body), _Claim)).run

    async def renew(self, run_id: str, *, lease_seconds: int = 60) -> ClaimedRun | None:
        """Extend the lease; None when the run is lost or cancelled."""
        body = {"lease_duration_seconds": lease_seconds}
        return (await self._transport.call(self._call("POST", "runs", run_id, "lease", body=body), _Claim)).run

    async def heartbeat(self) -> None:
        """Say that the worker is alive. Claims and renewals say so, too."""
        await self._transport.done(self._call("POST", "heartbeat"))

    async def session(
        self,
        run_id: str,
        session_key: str,
        *,
        status: Literal["active", "completed", "failed", "cancelled"] = "active",
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Note the worker's session for a run; the worker that takes the run over is told."""
        body = {"session_key": session_key, "status": status, "metadata": metadata}
        await self._transport.done(self._call("PUT", "runs", run_id, "session", body=body))

    async def claims(self, *, lease_seconds: int = 60, wait_seconds: int = 20) -> AsyncGenerator[HeldRun, None]:
        """One run after the other, for ever; each is renewed until the next one is asked for.

        A server that is away is waited for. Raises ApiError where the worker may not claim (any more).
        """
        while True:
            run = await self._patiently(lease_seconds, wait_seconds)
            if run is None:
                continue
            held = HeldRun(run)
            renewing = asyncio.create_task(self._keep(held, lease_seconds), name=f"renew-{run.run_id}")
            try:
                yield held
            finally:
                renewing.cancel()
                await asyncio.gather(renewing, return_exceptions=True)

    async def _patiently(self, lease_seconds: int, wait_seconds: int) -> ClaimedRun | None:
        try:
            return await self.claim(lease_seconds=lease_seconds, wait_seconds=wait_seconds)
        except Unreachable:
            pass
        except ApiError as error:
            if error.status not in WORTH_RETRYING:
                raise
        await self._transport.sleep(self._transport.policy.longest_delay)
        return None

    async def _keep(self, held: HeldRun, lease_seconds: int) -> None:
        renewed = monotonic()
        while not held.lost.is_set():
            await asyncio.sleep(lease_seconds / _RENEWALS_PER_LEASE)
            asked = monotonic()
            try:
                if await self.renew(held.run.run_id, lease_seconds=lease_seconds) is None:
                    held.lost.set()
                renewed = asked
            except ClientError:
                if monotonic() - renewed > lease_seconds:
                    held.lost.set()

    def _call(self, method: Literal["POST", "PUT"], *path: str, body: object = None) -> Call:
        url = url_of("agent-workers", "workers", self.id, *path)
        return Call(method, url, repeatable=path != ("claim",), body=body, headers=self._headers)


class Workers:
    """`client.workers`."""

    def __init__(self, transport: Transport, projects: Projects) -> None:
        self._transport = transport
        self._projects = projects

    async def register(
        self,
        implementation_kind: str,
        worker_key: str,
        *,
        project: str | None = None,
        display_name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Worker:
        """Register a worker for the runs of an `implementation_kind`. `project` None: the caller's own."""
        ref = project if project is not None else (await self._projects.own()).id
        body = {
            "implementation_kind": implementation_kind,
            "worker_key": worker_key,
            "display_name": display_name,
            "metadata": metadata,
        }
        url = url_of("agent-workers", "projects", ref, "workers")
        made = await self._transport.call(Call("POST", url, repeatable=True, body=body), _Registered)
        return Worker(self._transport, str(made.worker["id"]), made.token)
