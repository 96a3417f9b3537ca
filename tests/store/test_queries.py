"""Every named query is valid on the migrated schema, keeps to a project, and is used."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from perdure.store import queries

SOURCE = Path(queries.__file__).resolve().parents[1]
ALL = [
    pytest.param(query, id=f"{noun}.{query.name}")
    for noun, found in queries.load_all().items()
    for query in found.values()
]


def references(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(noun, query name) of each `_SQL["name"]` in a module that says `_SQL = load("noun")`."""
    loaded: dict[str, str] = {}
    for node in tree.body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Call)
            and isinstance(node.value.func, ast.Name)
            and node.value.func.id == "load"
            and isinstance(node.value.args[0], ast.Constant)
        ):
            loaded[node.targets[0].id] = str(node.value.args[0].value)
    for inner in ast.walk(tree):
        if isinstance(inner, ast.Subscript) and isinstance(inner.value, ast.Name) and inner.value.id in loaded:
            assert isinstance(inner.slice, ast.Constant), "name queries by a literal, so that this test sees them"
            yield loaded[inner.value.id], str(inner.slice.value)


def test_queries_and_references_are_the_same_set() -> None:
    defined = {(noun, name) for noun, found in queries.load_all().items() for name in found}
    referenced = {pair for path in SOURCE.rglob("*.py") for pair in references(ast.parse(path.read_text("utf-8")))}
    assert defined - referenced == set(), "unused"
    assert referenced - defined == set(), "not defined"


async def test_every_query_can_be_prepared(database: str) -> None:
    broken: dict[str, str] = {}
    connection = await asyncpg.connect(database)
    try:
        for noun, found in queries.load_all().items():
            for query in found.values():
                try:
                    await connection.prepare(query.sql)
                except asyncpg.PostgresError as error:
                    broken[f"{noun}.{query.name}"] = str(error)
    finally:
        await connection.close()
    assert broken == {}


@pytest.mark.parametrize("query", ALL)
def test_every_query_keeps_to_a_project_or_is_the_systems(query: queries.Query) -> None:
    assert query.system or "project_id" in query.sql


def around(sql: str, place: int) -> str:
    """What stands before the outermost parenthesis that holds a place of a query; all before it where none does."""
    opened: list[int] = []
    for at, sign in enumerate(sql[:place]):
        if sign == "(":
            opened.append(at)
        elif sign == ")":
            opened.pop()
    return sql[: opened[0]] if opened else sql[:place]


@pytest.mark.parametrize("query", ALL)
def test_a_bounded_number_of_rows_is_locked_once(query: queries.Query) -> None:
    """In a common table expression, which is worked out once. A subquery that a join looks up again finds others each
    time, as it has taken the first ones: 100 rows were taken where 32 were asked for."""
    sql = re.sub(r"--[^\n]*", "", query.sql)
    for lock in re.finditer("SKIP LOCKED", sql):
        assert re.search(r"\bAS( MATERIALIZED)? $", around(sql, lock.start())), query.name


@pytest.mark.parametrize(
    "text",
    [
        "-- name: a\nSELECT 1;\n",
        "-- name: a\n-- One.\nSELECT 1;\n-- name: a\n-- Two.\nSELECT 2;\n",
    ],
    ids=["without a description", "twice"],
)
def test_a_bad_file_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"name|twice"):
        queries.parse(text)


def test_a_file_is_split_into_its_queries() -> None:
    parsed = queries.parse("-- name: a\n-- System: one.\nSELECT 1;\n\n-- name: b\n-- Two.\n-- why\nSELECT 2;\n")
    assert [(query.name, query.system, query.sql) for query in parsed.values()] == [
        ("a", True, "SELECT 1;"),
        ("b", False, "-- why\nSELECT 2;"),
    ]
