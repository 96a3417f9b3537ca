"""The temporal engine and a cluster that speaks TLS: whom it trusts, and how it says who it is."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from perdure.domain.run import Status
from perdure.execution.engines.opening import TemporalPlace
from perdure.execution.engines.temporal import TemporalEngine
from perdure.execution.log import Completed, Outcome, RunContext
from perdure.telemetry import LogLine
from tests.acceptance.processes import AGENTS, site
from tests.conformance.test_engine import Cluster, ended, pending
from tests.temporal_server import TemporalServer
from tests.tls_front import Pki, TlsFront

API_KEY = "temporal-key"
NAME = "temporal.example.test"


async def executed(place: TemporalPlace, database: str) -> None:
    """A run goes through Temporal: its order, its worker, its end."""
    async with AsyncExitStack() as stack:
        cluster = Cluster(database, lambda core, options: TemporalEngine(core, options, place), stack)
        node = await cluster.node()

        async def at_once(ctx: RunContext) -> Outcome:
            return Completed("done")

        await node.work(at_once, "a")
        assert (await ended(node.core, await cluster.submit(node, "a"))).status is Status.COMPLETED


async def test_an_api_key_is_shown_to_a_server_that_is_checked(
    temporal: TemporalServer, database: str, tmp_path: Path
) -> None:
    pki = Pki(tmp_path / "pki")
    async with TlsFront(temporal.address, pki.server("127.0.0.1", ask_clients=False), api_key=API_KEY) as front:
        queue = f"test-{uuid4().hex}"
        await executed(TemporalPlace(front.address, task_queue=queue, api_key=API_KEY, tls_ca=pki.ca), database)
        assert {call["authorization"] for call in front.calls} == {f"Bearer {API_KEY}"}
        assert "default" in {call.get("temporal-namespace") for call in front.calls}
        assert not front.certificates


async def test_a_client_shows_its_certificate_to_a_server_of_another_name(
    temporal: TemporalServer, database: str, tmp_path: Path
) -> None:
    pki = Pki(tmp_path / "pki")
    async with TlsFront(temporal.address, pki.server(NAME, ask_clients=True)) as front:
        place = TemporalPlace(
            front.address,
            task_queue=f"test-{uuid4().hex}",
            tls_ca=pki.ca,
            tls_cert=pki.client_cert,
            tls_key=pki.client_key,
            tls_server_name=NAME,
        )
        await executed(place, database)
        assert set(front.certificates) == {"worker@example.test"}
        assert not any("authorization" in call for call in front.calls)


async def test_who_is_not_trusted_is_refused_and_the_log_says_why(
    temporal: TemporalServer, database: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """In both directions: a server of another authority, one of another name, and a client without a certificate."""
    pki, other = Pki(tmp_path / "pki"), Pki(tmp_path / "other")
    async with TlsFront(temporal.address, pki.server("127.0.0.1", ask_clients=True)) as front:
        right = TemporalPlace(front.address, tls_ca=pki.ca, tls_cert=pki.client_cert, tls_key=pki.client_key)
        for wrong, reason in (
            (replace(right, tls_ca=other.ca), "UnknownIssuer"),
            (replace(right, tls_server_name=NAME), "NotValidForName"),
            (replace(right, tls_cert=None, tls_key=None), "Failed client connect"),
        ):
            async with AsyncExitStack() as stack:
                cluster = Cluster(database, lambda core, options: TemporalEngine(core, options, wrong), stack)  # noqa: B023
                node = await cluster.node()
                key = await cluster.submit(node, "a")
                said = ""
                async with asyncio.timeout(20):
                    while LogLine.ENGINE_AWAY not in said:
                        said += capfd.readouterr().err
                        await asyncio.sleep(0.02)
                assert reason in said
                assert await pending(node.core, [key]) == [key]
        assert not front.calls


async def test_a_process_takes_all_of_it_from_its_environment(
    temporal: TemporalServer, database: str, tmp_path: Path
) -> None:
    pki = Pki(tmp_path / "pki")
    async with TlsFront(temporal.address, pki.server(NAME, ask_clients=True), api_key=API_KEY) as front:
        environment = {
            "PERDURE_DATABASE_URL": database,
            "PERDURE_ENGINE": "temporal",
            "PERDURE_TEMPORAL_ADDRESS": front.address,
            "PERDURE_TEMPORAL_TASK_QUEUE": f"test-{uuid4().hex}",
            "PERDURE_TEMPORAL_API_KEY": API_KEY,
            "PERDURE_TEMPORAL_TLS_CA": str(pki.ca),
            "PERDURE_TEMPORAL_TLS_CERT": str(pki.client_cert),
            "PERDURE_TEMPORAL_TLS_KEY": str(pki.client_key),
            "PERDURE_TEMPORAL_TLS_SERVER_NAME": NAME,
        }
        ended = await asyncio.to_thread(_one_run, tmp_path, environment)
        assert ended["status"] == "completed", ended
        assert set(front.certificates) == {"worker@example.test"}
        assert {call["authorization"] for call in front.calls} == {f"Bearer {API_KEY}"}


def _one_run(folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    """A run of the server's own agent, in a process of its own, which is stopped at its end."""
    with site(folder, AGENTS, **environment) as there:
        process = there.dev()
        there.create("echo", "one")
        ended = there.ended("one")
        assert process.stop() == 0
        return ended
