"""What supervisors, load balancers and Prometheus are told."""

from __future__ import annotations

import time

from perdure.services.health import Health
from tests.http.platform_app import platform


async def test_a_process_that_is_well(database: str) -> None:
    async with platform(database) as at_work:
        assert (await at_work.ask("GET", "/livez", None)).json() == {"status": "alive"}
        ready = await at_work.ask("GET", "/readyz", None)
        assert (ready.status_code, ready.json()["status"]) == (200, "ready")
        assert [(check["name"], check["ok"]) for check in ready.json()["checks"]] == [
            ("database", True), ("migrations", True), ("event_loop", True),
        ]  # fmt: skip


async def test_metrics_show_the_queue(database: str) -> None:
    async with platform(database) as at_work:
        answer = await at_work.ask("GET", "/metrics", None)
        assert answer.headers["content-type"].startswith("text/plain")
        assert 'perdure_queue_depth{state="pending"} 0.0' in answer.text


async def test_a_schema_that_is_too_old_is_not_ready(database: str) -> None:
    async with platform(database) as at_work:
        for sql, status in (
            ("UPDATE alembic_version SET version_num = '9999'", 200),
            ("UPDATE alembic_version SET version_num = '0000'", 503),
            ("DELETE FROM alembic_version", 503),
            ("DROP TABLE alembic_version", 503),
        ):
            await at_work.core.database.execute(sql)
            ready = await at_work.ask("GET", "/readyz", None)
            assert ready.status_code == status, sql
            if status == 503:
                failed = [check for check in ready.json()["checks"] if not check["ok"]]
                assert [check["name"] for check in failed] == ["migrations"]
                assert "perdure db upgrade" in failed[0]["detail"]


async def test_a_database_that_is_away_is_not_ready_and_the_process_lives(database: str) -> None:
    async with platform(database) as at_work:
        await at_work.core.database.close()
        ready = await at_work.ask("GET", "/readyz", None)
        assert (ready.status_code, ready.json()["checks"][0]["ok"]) == (503, False)
        assert (await at_work.ask("GET", "/livez", None)).status_code == 200
        assert (await at_work.ask("GET", "/metrics", None)).status_code == 200


def block_the_loop(seconds: float) -> None:
    """What a tool that is not asynchronous does."""
    time.sleep(seconds)


async def test_an_event_loop_that_lags_is_not_ready(database: str) -> None:
    async with platform(database, max_lag_ms=300) as at_work:
        assert (await at_work.ask("GET", "/readyz", None)).status_code == 200
        block_the_loop(0.6)
        ready = await at_work.ask("GET", "/readyz", None)
        late = {check["name"]: check for check in ready.json()["checks"]}["event_loop"]
        assert (ready.status_code, late["ok"]) == (503, False)


async def test_a_worker_counts_where_there_is_one(database: str) -> None:
    async with platform(database) as at_work:
        running = True
        health = Health(at_work.core, max_lag_ms=1_000, worker_running=lambda: running)
        assert (await health.checks())[-1].ok
        running = False
        assert not (await health.checks())[-1].ok
