"""Search: what is found, in which order, and that nobody learns of another's private runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from perdure.domain.ids import ProjectId, RunId, RunKey, new_uuid
from perdure.domain.run import Cancel, Kind, Status
from perdure.domain.search import SearchRequest, SortKey, last_word
from perdure.domain.stored_run import About, Viewer
from perdure.services import lifecycle, projections
from perdure.services.core import Core
from perdure.services.search import PostgresSearch
from perdure.store.runs import at
from tests.store.harness import PROJECT, START_MS, ManualClock, server
from tests.store.projecting import PRIVATE, append, complete, described_run, result, text

ANN, BOB, BOSS = Viewer("user:ann"), Viewer("user:bob"), Viewer("user:boss", sees_all=True)


@pytest_asyncio.fixture
async def core(database: str) -> AsyncIterator[Core]:
    async with server(database, clock=ManualClock(), hints=False) as running:
        yield running


async def find(core: Core, query: str = "", viewer: Viewer = ANN, **wanted: Any) -> tuple[list[str], int]:
    """The ids of the runs that are found, and the total."""
    await projections.catch_up(core)
    request = SearchRequest(query=query, **wanted)
    found = await PostgresSearch(core).find(PROJECT, viewer, request)
    return [hit.run.run_id for hit in found.hits], found.total


async def test_everything_that_a_run_says_is_found(core: Core) -> None:
    about = About(name="nightly-import", title="Harvest report", topic="Fruit prices")
    key = await described_run(
        core, "a", about=about, agent="app:shop.clerk", tags=("urgent",), said="count the cherries"
    )
    await append(core, key, [*text("m", "There are twelve."), result("c", "raw table")])
    await lifecycle.apply(core, key, Cancel("The basement flooded."))
    other = await described_run(core, "b")
    await append(core, other, text("m", "nothing of it"))
    for words in (
        "harvest", "HARVEST", "harv", "fruit pri", "nightly-import", "nightly-imp", "import", "clerk", "app:shop.clerk",
        "urgent", "cherries", "twelve", "flooded", "table", '"count the cherries"', "cherries -pears", "pears or cherr",
        "harvest twelve flood",
    ):  # fmt: skip
        assert await find(core, words) == (["a"], 1), words
    for words in ("arvest", "cherries -twelve", '"the count"', "harvest pears", '"harv"', "cherr twelve", "-", '""'):
        assert await find(core, words) == ([], 0), words


async def test_names_come_before_messages_and_those_before_results(core: Core) -> None:
    for run_id in ("result", "said", "tagged", "titled"):
        key = await described_run(
            core,
            run_id,
            about=About(title="zebra" if run_id == "titled" else "x"),
            tags=("zebra",) if run_id == "tagged" else (),
        )
        await append(core, key, text("m", "a zebra" if run_id == "said" else "a horse"))
        await append(core, key, [result("c", "a zebra" if run_id == "result" else "a horse")])
    assert await find(core, "zebra") == (["titled", "tagged", "said", "result"], 4)
    assert (await find(core, "zebra", limit=2, offset=1)) == (["tagged", "said"], 4)
    assert (await find(core, "zebra", offset=9)) == ([], 4)
    assert (await find(core, "zebra", sort=(SortKey("score", descending=False),)))[0][0] == "result"


async def test_a_private_run_is_there_for_its_owner_only(core: Core) -> None:
    for run_id, about, by in (
        ("mine", PRIVATE, "user:ann"), ("hers", PRIVATE, "user:bob"), ("nobodys", PRIVATE, None),
        ("all", About(), "user:bob"),
    ):  # fmt: skip
        key = await described_run(core, run_id, about=about, by=by)
        await append(core, key, text("m", "secret"))
    for words in ("secret", ""):
        for viewer, ids in ((ANN, {"mine", "all"}), (BOB, {"hers", "all"}), (BOSS, {"mine", "hers", "nobodys", "all"})):
            found, total = await find(core, words, viewer, kinds=(Kind.AGENT,))
            assert (set(found), total) == (ids, len(ids))
    assert await find(core, "secret", ANN, started_by=("user:bob",)) == (["all"], 1)
    assert await find(core, "secret", ANN, started_by=("user:bob",), offset=1) == ([], 1)


async def test_another_project_finds_nothing(core: Core) -> None:
    await described_run(core, "a", about=About(title="zebra"))
    await projections.catch_up(core)
    elsewhere = await PostgresSearch(core).find(ProjectId(new_uuid(0)), BOSS, SearchRequest("zebra"))
    assert (elsewhere.hits, elsewhere.total) == ((), 0)


async def test_filters_and_order(core: Core) -> None:
    clock = core.clock
    assert isinstance(clock, ManualClock)
    for number, run_id in enumerate("abcd"):
        clock.now = START_MS + number * 1000
        about = About(categories=(f"cat-{number % 2}",), content_type_name="Invoice" if number else None)
        await described_run(core, run_id, about=about, agent=f"agent-{number % 2}", tags=(f"t{number}", "all"))
    clock.now += 1000
    await complete(core, RunKey(PROJECT, RunId("a")))
    start = at(START_MS)
    second = timedelta(seconds=1)
    mine = {"started_by": ("user:ann",)}
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({}, "dcba"),
        ({"sort": (SortKey("started_at", descending=False),)}, "abcd"),
        ({"sort": (SortKey("updated_at"),)}, "adcb"),
        ({"sort": (SortKey("updated_at"), SortKey("started_at", descending=False))}, "adcb"),
        ({"statuses": (Status.COMPLETED,)}, "a"),
        ({"statuses": (Status.COMPLETED, Status.RUNNING)}, "dcba"),
        ({"kinds": (Kind.TASK,)}, ""),
        ({"agent_ids": ("agent-1", "agent-1@2")}, "db"),
        ({"tags": ("t0", "t3")}, "da"),
        ({"categories": ("cat-1", "cat-9")}, "db"),
        ({"content_type_name": "Invoice"}, "dcb"),
        ({"since": start + second}, "dc"),
        ({"until": start + second}, "ba"),
        ({"limit": 1, "offset": 2}, "b"),
    )
    for filters, ids in cases:
        for words in ("", "all"):
            wanted: dict[str, Any] = {"sort": (SortKey("started_at"),), **mine, **filters}
            found, total = await find(core, words, **wanted)
            assert "".join(found) == ids, (filters, words)
            assert total == (4 if "limit" in filters else len(ids))


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("foo", "foo"), ("foo bar", "bar"), ('"foo bar"', ""), ('"foo bar', ""), ("foo or", ""), ("foo OR", ""),
        ("foo -bar", ""), ("foo-bar", "foo-bar"), ("foo.", ""), ("", ""), ("héllo wörl", "wörl"), ('"a b" c', "c"),
    ],
)  # fmt: skip
def test_the_last_word(query: str, word: str) -> None:
    assert last_word(query) == word


async def test_no_query_breaks_the_search(core: Core) -> None:
    await described_run(core, "a", about=About(title="it's a b"))
    for query in (
        "'", "''", "it's", "\\", "a:*", "a & b", "!", "a <-> b", "(a", "a)", "a'b:*", "'a':* | 'b'", "\x00", "é" * 3000,
        "or or or", "- - -", "a -", '"', '"a', "<a href='x y'>b", "http://a.b/c d'e", "a@b.c", "1.5e3", "-1", "1e999",
    ):  # fmt: skip
        await find(core, query)
