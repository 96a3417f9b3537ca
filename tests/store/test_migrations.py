"""The schema: reached from nothing, by several at once, back and again; and what its constraints refuse."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from perdure.domain.run import Executor, Status
from perdure.store import migrations
from perdure.store.migrate import current_revision, upgrade
from perdure.store.schema import newest_revision
from tests.store.harness import new_run, server

SHAPE = """
SELECT c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v')
UNION ALL
SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT viewname || ' ' || definition FROM pg_views WHERE schemaname = 'public'
ORDER BY 1
"""


async def shape(dsn: str) -> list[str]:
    """Columns, indexes, constraints and views, as text."""
    connection = await asyncpg.connect(dsn)
    try:
        return [row[0] for row in await connection.fetch(SHAPE)]
    finally:
        await connection.close()


async def downgrade(dsn: str) -> None:
    def to_base(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        config.attributes["connection"] = connection
        command.downgrade(config, "base")

    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(dsn))
    try:
        async with engine.begin() as connection:
            await connection.run_sync(to_base)
    finally:
        await engine.dispose()


async def test_from_nothing_twice_back_and_again(empty_database: str) -> None:
    assert await current_revision(empty_database) is None
    await upgrade(empty_database)
    assert await current_revision(empty_database) == newest_revision()
    first = await shape(empty_database)
    await upgrade(empty_database)
    assert await shape(empty_database) == first
    await downgrade(empty_database)
    assert [line for line in await shape(empty_database) if "alembic_version" not in line] == []
    assert await current_revision(empty_database) is None
    await upgrade(empty_database)
    assert await shape(empty_database) == first


async def test_servers_that_start_at_once_migrate_once(empty_database: str) -> None:
    await asyncio.gather(*(upgrade(empty_database) for _ in range(4)))
    assert await current_revision(empty_database) == newest_revision()


async def test_the_url_may_carry_what_the_driver_understands(empty_database: str) -> None:
    """Hosted databases hand out URLs that end in `?sslmode=…`, and some say `postgres://`."""
    url = empty_database.replace("postgresql://", "postgres://") + "&sslmode=disable&application_name=x"
    await upgrade(url)
    assert await current_revision(url) == newest_revision()


A_ROW = (
    "INSERT INTO run_events (project_id, run_id, first_event_id, last_event_id, first_ts, first_external_sequence,"
    " public, types, events) SELECT project_id, run_id"
)

VIOLATIONS = [
    ("run_head_status_check", "UPDATE run_head SET status = 'paused'"),
    ("run_head_executor_check", "UPDATE run_head SET executor = 'nobody'"),
    ("run_head_attempt_check", "UPDATE run_head SET attempt = -1"),
    ("run_head_fence_check", "UPDATE run_head SET fence = -1"),
    ("run_head_waiting_iff_waiting", "UPDATE run_head SET status = 'waiting', attempt = 1"),
    ("run_head_waiting_iff_waiting", "UPDATE run_head SET waiting = '{}'"),
    ("run_head_cancelling_while_running", "UPDATE run_head SET cancelling = true"),
    ("run_head_running_has_attempt", "UPDATE run_head SET status = 'running'"),
    ("run_head_running_has_attempt", "UPDATE run_head SET status = 'waiting', waiting = '{}'"),
    ("run_head_counters", "UPDATE run_head SET latest_external_sequence = 1"),
    ("run_head_counters", "UPDATE run_head SET latest_external_sequence = -1"),
    ("runs_status_check", "UPDATE runs SET status = 'paused'"),
    ("runs_completed_iff_terminal", "UPDATE runs SET status = 'completed'"),
    ("runs_completed_iff_terminal", "UPDATE runs SET completed_at = now()"),
    ("runs_error_only_if_ended_badly", "UPDATE runs SET error_message = 'no'"),
    ("runs_error_only_if_ended_badly", "UPDATE runs SET error_code = 'NO'"),
    ("runs_kind_check", "UPDATE runs SET kind = 'batch'"),
    ("runs_owner_kind_check", "UPDATE runs SET owner_kind = 'user'"),
    ("runs_run_id_check", "UPDATE runs SET run_id = ''"),
    ("run_queue_lease_is_whole", "UPDATE run_queue SET lease_owner = 'w'"),
    ("run_queue_lease_is_whole", "UPDATE run_queue SET fence = 1"),
    ("run_queue_cancel_of_a_held_run", "UPDATE run_queue SET cancel_at = now()"),
    ("run_events_row_is_whole", A_ROW + ", 1, 2, 0, NULL, true, ARRAY['A'], '[]' FROM run_head"),
    ("run_events_row_is_whole", A_ROW + ", 1, 0, 0, NULL, true, '{}', '[]' FROM run_head"),
    ("run_events_only_public_ones_count", A_ROW + ", 1, 1, 0, 1, false, ARRAY['A'], '[]' FROM run_head"),
    ("run_events_first_event_id_check", A_ROW + ", 0, 0, 0, NULL, true, ARRAY['A'], '[]' FROM run_head"),
    ("run_events_pkey", A_ROW + ", 1, 1, 0, NULL, true, ARRAY['A'], '[]' FROM run_head, generate_series(1, 2)"),
    ("run_events_project_id_run_id_fkey", A_ROW + " || 'x', 1, 1, 0, NULL, true, ARRAY['A'], '[]' FROM run_head"),
]


async def test_constraints_repeat_the_invariants(database: str) -> None:
    """Each statement breaks one rule of the lifecycle and is refused by the constraint of that name."""
    refused_by: list[tuple[str | None, str]] = []
    async with server(database, hints=False) as core:
        await new_run(core, executor=Executor.ENGINE, status=Status.PENDING)
        async with core.database.connection() as connection:
            for _, statement in VIOLATIONS:
                transaction = connection.transaction()
                await transaction.start()
                try:
                    await connection.execute(statement)
                    refused_by.append((None, statement))
                except asyncpg.IntegrityConstraintViolationError as error:
                    refused_by.append((error.constraint_name, statement))
                finally:
                    await transaction.rollback()
    assert refused_by == VIOLATIONS
