"""Databases for tests: each test has one with the newest schema and nobody else's rows.

Making one copies some hundred files, which took longer than most tests do. So a database whose test left its schema as
it was, is still small and has nobody connected is emptied and lent again; any other is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg

T = TypeVar("T")

ROOM_BYTES = 2 * 1024 * 1024
"""What a test's rows and their indexes may add to a database that is lent again: dead rows slow later scans down."""

LEAVING_SECONDS = 1.0
"""How long connections that a test closed may take to be gone."""

_EVERYBODY_ELSE = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

_SIZE = """
    SELECT sum(pg_relation_size(oid)) FROM pg_class
    WHERE relkind IN ('r', 'i', 't') AND relnamespace <> 'pg_catalog'::regnamespace
"""

_SCHEMA = """
    SELECT md5(string_agg(made, ' ' ORDER BY made)) FROM (
        SELECT 'class ' || oid || ' ' || relnatts || ' ' || relchecks || ' ' || coalesce(reloptions::text, '') AS made
        FROM pg_class WHERE oid >= 16384 AND relnamespace <> 'pg_toast'::regnamespace
        UNION ALL SELECT 'attribute ' || attrelid || ' ' || attname || ' ' || atttypid || ' ' || attnotnull::text
        FROM pg_attribute WHERE attrelid >= 16384
        UNION ALL SELECT 'constraint ' || oid FROM pg_constraint WHERE oid >= 16384
        UNION ALL SELECT 'function ' || oid || ' ' || md5(prosrc) FROM pg_proc WHERE oid >= 16384
        UNION ALL SELECT 'trigger ' || oid || ' ' || tgenabled::text FROM pg_trigger WHERE oid >= 16384
        UNION ALL SELECT 'namespace ' || oid FROM pg_namespace WHERE oid >= 16384 AND nspname !~ '^pg_'
        UNION ALL SELECT 'setting ' || setrole || ' ' || setconfig::text FROM pg_db_role_setting
        UNION ALL SELECT 'revision ' || version_num FROM alembic_version
    ) whole
"""
"""A fingerprint of the schema: another one where a test changed it."""

_EMPTY = """
    DO $$
    DECLARE one record;
    BEGIN
        SET LOCAL session_replication_role = replica;
        FOR one IN SELECT oid::regclass AS name FROM pg_class
            WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
              AND pg_relation_size(oid) > 0
        LOOP
            EXECUTE 'DELETE FROM ' || one.name;
        END LOOP;
        FOR one IN SELECT oid::regclass AS name FROM pg_class
            WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace
        LOOP
            PERFORM setval(one.name, 1, false);
        END LOOP;
    END $$
"""
"""Every row goes, whatever refers to it; no trigger of ours fires."""

_TABLES = """
    SELECT oid::regclass::text AS name FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
"""


@dataclass(frozen=True)
class Template:
    """What a database is like when it is new. `rows`: by table, those that migrations made, as JSON."""

    name: str
    schema: str
    size: int
    rows: dict[str, str]


class Databases:
    """The databases that one test process has made, and lends to one test after the other."""

    def __init__(self, admin: str, template: str) -> None:
        self._admin = admin
        self._idle: list[str] = []
        self._thread = ThreadPoolExecutor(1, "databases")
        self._runner = asyncio.Runner()
        try:
            self._template = self._run(_inspect(admin, template))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Drop those that are left."""
        while self._idle:
            self._drop(self._idle.pop())
        self._thread.submit(self._runner.close).result()
        self._thread.shutdown()

    @contextmanager
    def lent(self) -> Iterator[str]:
        """The DSN of one that nobody else has."""
        name = self._idle.pop() if self._idle else self._run(_create(self._admin, self._template.name))
        try:
            yield _dsn(self._admin, name)
        finally:
            if self._run(_emptied(_dsn(self._admin, name), self._template)):
                self._idle.append(name)
            else:
                self._drop(name)

    def _drop(self, name: str) -> None:
        self._run(_execute(self._admin, f'DROP DATABASE "{name}" WITH (FORCE)'))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """In a thread of its own, so that the test's own event loop is left alone."""
        return self._thread.submit(self._runner.run, work).result()


@contextmanager
def without_schema(admin: str) -> Iterator[str]:
    """The DSN of an empty database, dropped afterwards."""
    with ThreadPoolExecutor(1) as thread:
        name = thread.submit(asyncio.run, _create(admin, "template0")).result()
        try:
            yield _dsn(admin, name)
        finally:
            thread.submit(asyncio.run, _execute(admin, f'DROP DATABASE "{name}" WITH (FORCE)')).result()


def _dsn(admin: str, name: str) -> str:
    return urlsplit(admin)._replace(path=f"/{name}").geturl()


async def _create(admin: str, template: str) -> str:
    name = f"test_{uuid4().hex}"
    # Copied file by file: the other strategy writes every page into the write-ahead log, too.
    await _execute(admin, f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
    return name


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _inspect(admin: str, template: str) -> Template:
    """What the template is like, seen in a copy: nobody may be connected to the template itself while it is copied."""
    copy = await _create(admin, template)
    connection = await asyncpg.connect(_dsn(admin, copy))
    try:
        rows = {
            table["name"]: found
            for table in await connection.fetch(_TABLES)
            if (found := await connection.fetchval(f"SELECT json_agg(made_row)::text FROM {table['name']} made_row"))
        }
        schema, size = await connection.fetchval(_SCHEMA), await connection.fetchval(_SIZE)
    finally:
        await connection.close()
        await _execute(admin, f'DROP DATABASE "{copy}"')
    return Template(template, schema, size, rows)


async def _emptied(dsn: str, template: Template) -> bool:
    """Whether the database is as new again."""
    connection = await asyncpg.connect(dsn)
    try:
        if not await _left_alone(connection) or not await _has_schema(connection, template.schema):
            return False
        if await connection.fetchval(_SIZE) > template.size + ROOM_BYTES:
            return False
        await connection.execute(_EMPTY)
        for table, rows in template.rows.items():
            await connection.execute(
                f"INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, $1)", rows
            )
        return True
    finally:
        await connection.close()


async def _has_schema(connection: asyncpg.Connection[asyncpg.Record], wanted: str) -> bool:
    try:
        return bool(await connection.fetchval(_SCHEMA) == wanted)
    except asyncpg.UndefinedTableError:
        return False


async def _left_alone(connection: asyncpg.Connection[asyncpg.Record]) -> bool:
    """Whether those who were connected leave by themselves, as they do unless a process or a task was left behind."""
    until = asyncio.get_running_loop().time() + LEAVING_SECONDS
    while await connection.fetchval(f"SELECT EXISTS ({_EVERYBODY_ELSE})"):
        if asyncio.get_running_loop().time() > until:
            return False
        await asyncio.sleep(0.005)
    return True
