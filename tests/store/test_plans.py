"""The hot queries stay on their indexes with 100,000 runs present, whichever kind of plan a prepared statement gets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from perdure.domain.event import Append, Segment
from perdure.domain.ids import RunId, RunKey
from perdure.store import queries, run_events
from perdure.store.database import PLANNING, Database
from tests.store.harness import PROJECT, START_MS, WAIT_SECONDS, copied_database

QUERIES = queries.load_all()
FILL = Path(__file__).with_name("many_runs.sql")
FOLLOWED = RunKey(PROJECT, RunId("run-000042"))
GUARDED = frozenset({"runs", "run_head", "run_events", "run_queue", "schedules"})
NOW = datetime.fromtimestamp(START_MS / 1000, UTC)
PROJECTIONS = frozenset({"run_projections", "run_texts", "run_calls"})


@dataclass(frozen=True, slots=True)
class Hot:
    """A hot query with typical values. `most_blocks`: of 8 KB, that it may touch when it runs with them."""

    noun: str
    name: str
    values: Sequence[object]
    indexes: frozenset[str]
    most_blocks: int
    generic: bool = True


def filters(**wanted: object) -> list[object]:
    """The values of list_runs."""
    names = ("status", "kind", "agent_id", "target", "tag", "parent", "since", "until", "created_at", "run_id")
    assert wanted.keys() <= {*names, "several", "viewer", "reasons"}
    return [PROJECT, *map(wanted.get, names), 50, *map(wanted.get, ("several", "viewer", "reasons"))]


def listed(index: str, most_blocks: int = 400, **wanted: object) -> Hot:
    """A page of runs is planned anew each time, so a generic plan never happens."""
    return Hot("runs", "list_runs", filters(**wanted), frozenset({index}), most_blocks, generic=False)


def planned(noun: str, name: str, values: Sequence[object], indexes: set[str], most_blocks: int) -> Hot:
    """Others that are planned anew."""
    return Hot(noun, name, values, frozenset(indexes), most_blocks, generic=False)


def found(words: str) -> list[object]:
    """The values of search_runs."""
    return [PROJECT, words, "user:ann", *[None] * 9, "score", 1, "started_at", 1, 50, 0, None]


def one_append(key: RunKey) -> list[object]:
    return [
        [key.project_id], [key.run_id], [None], [None], [None], [1], [1], START_MS,
        [1], [0], [0], [1], [True], ["A"], ['[{"type":"A"}]'],
    ]  # fmt: skip


def many_appends(count: int) -> list[object]:
    """To many running runs at once."""
    keys = [RunKey(PROJECT, RunId(f"run-{n * 1000 + 1:06}")) for n in range(count)]
    size = len(keys)
    return [
        [key.project_id for key in keys], [key.run_id for key in keys], [None] * size, [None] * size, [None] * size,
        [1] * size, [1] * size, START_MS, list(range(1, size + 1)), [0] * size, [0] * size, [1] * size,
        [True] * size, ["A"] * size, ['[{"type":"A"}]'] * size,
    ]  # fmt: skip


FIFTY = [f"agent:agent-{n}" for n in range(50)]


def claimed(*routes: str) -> list[object]:
    """The values of claim_runs."""
    return [list(routes), NOW, 10, "w", NOW, START_MS, False]


CROWDED = UUID("00000000-0000-0000-0001-000000000020")
"""The project that has most of the runs of the route that many share."""
SERVICE = UUID("00000000-0000-0000-0002-000000000001")


def pushed(route: str, project: UUID = PROJECT) -> list[object]:
    """The values of claim_push_runs."""
    return [SERVICE, [route], project, None, NOW, 10, NOW - timedelta(seconds=60), NOW, START_MS, False]


TRANSITION: list[object] = [
    PROJECT, "run-000001", 0, "completed", "engine", 1, 1, False, None, START_MS, 1, 0, None,
    [0], [None], [1], [True], ["A"], ['[{"type":"A"}]'], False, NOW, None, None, None, None,
    "remove", "agent:a", NOW, None, False, 0, None, None, None,
]  # fmt: skip

LATE = NOW - timedelta(hours=20)
UNTIL, LATELY = NOW + timedelta(seconds=30), NOW + timedelta(seconds=895)
HOT = [
    Hot("run_events", "append_events", one_append(FOLLOWED), frozenset({"run_head_pkey"}), 60),
    Hot("run_events", "append_events", many_appends(64), frozenset({"run_head_pkey"}), 64 * 20),
    Hot("run_events", "read_events", [*FOLLOWED, 4000, False, 64], frozenset({"run_events_pkey"}), 20),
    Hot("run_events", "read_events", [*FOLLOWED, 0, True, 64], frozenset({"run_events_pkey"}), 20),
    Hot("run_events", "read_events", [*FOLLOWED, 5000, False, 64], frozenset({"run_events_pkey"}), 20),
    Hot(
        "run_events", "read_tails",
        [[PROJECT] * 64, [f"run-{n * 1000 + 1:06}" for n in range(64)], [2] * 64, 64],
        frozenset({"run_events_pkey", "run_head_pkey"}), 64 * 10,
    ),
    Hot(
        "run_events", "read_tails", [[PROJECT], [FOLLOWED.run_id], [4990], 64],
        frozenset({"run_events_pkey", "run_head_pkey"}), 30,
    ),
    Hot("run_events", "read_external_tail", [*FOLLOWED, 4990, 10], frozenset({"run_events_pkey"}), 20),
    Hot(
        "run_events", "newest_event_with", [*FOLLOWED, "TEXT", "TEXT", None], frozenset({"run_events_pkey"}), 5_100,
    ),
    Hot("runs", "get_run", [*FOLLOWED], frozenset({"runs_pkey", "run_head_pkey"}), 12),
    Hot("projects", "locate_run", [*FOLLOWED], frozenset({"run_head_pkey"}), 20),
    Hot("projects", "locate_run", [uuid4(), FOLLOWED.run_id], frozenset({"run_head_pkey"}), 40),
    Hot("projects", "locate_run", [PROJECT, "nowhere"], frozenset({"run_head_pkey"}), 40),
    Hot("runs", "get_run_by_idempotency_key", [PROJECT, "k"], frozenset({"runs_once"}), 12),
    Hot("runs", "transition_run", TRANSITION, frozenset({"run_head_pkey", "runs_pkey"}), 120),
    Hot("run_queue", "claim_share", [["agent:agent-0"], 10], frozenset({"run_queue_fair"}), 20),
    Hot("run_queue", "claim_share", [FIFTY, 10], frozenset({"run_queue_fair"}), 50 * 10),
    Hot("run_queue", "claim_runs", claimed("agent:agent-0"), frozenset({"run_queue_fair"}), 400),
    Hot("run_queue", "claim_runs", claimed(*FIFTY), frozenset({"run_queue_fair"}), 1000),
    Hot("run_queue", "claim_runs", claimed("agent:shared"), frozenset({"run_queue_fair"}), 3000),
    Hot("run_queue", "claim_runs", claimed("agent:none"), frozenset({"run_queue_fair"}), 40),
    Hot(
        "placements", "take_unplaced", [UNTIL, NOW, UNTIL, LATELY],
        frozenset({"run_queue_unplaced", "run_queue_told"}), 3500,
    ),
    Hot("placements", "doubt_placed", [FIFTY, NOW], frozenset({"run_queue_pkey", "run_queue_told"}), 1000),
    Hot("placements", "forget_placed", [NOW], frozenset({"run_queue_placed"}), 20),
    Hot("push_services", "claim_push_runs", pushed("agent:agent-0"), frozenset({"run_queue_fair", "runs_pkey"}), 400),
    Hot("push_services", "claim_push_runs", pushed("agent:shared", CROWDED), frozenset({"runs_pkey"}), 400),
    Hot("push_services", "projects_waiting_for_push", [["agent:shared"], NOW], frozenset({"run_queue_fair"}), 3000),
    Hot(
        "run_queue", "claim_external_run",
        [PROJECT, ["external:kind", "external:kind:key"], NOW, "w", NOW, START_MS, False],
        frozenset({"run_queue_due_external"}), 60,
    ),
    Hot("run_queue", "renew_lease", [*FOLLOWED, "worker-42", NOW], frozenset({"run_queue_pkey"}), 20),
    Hot("run_queue", "renew_leases", ["worker-07", NOW], frozenset({"run_queue_owners"}), 300),
    Hot("run_queue", "expired_leases", [NOW, 500], frozenset({"run_queue_leases"}), 20),
    Hot("run_queue", "overdue_cancels", [NOW, 500], frozenset({"run_queue_cancels"}), 20),
    Hot("schedules", "due_schedules", [NOW, 100], frozenset({"schedules_due", "schedules_firing"}), 120),
    Hot("deadlines", "overdue_runs", [START_MS / 1000, 500, 10], frozenset({"runs_deadline"}), 20),
    Hot("deadlines", "overdue_runs", [START_MS / 1000 + 1000, 500, 10], frozenset({"runs_deadline"}), 40),
    Hot("deadlines", "runs_past_deadline", [NOW, 500, NOW], frozenset({"runs_by_deadline"}), 20),
    listed("runs_newest"),
    listed("runs_newest", created_at=LATE, run_id="run-001234"),
    listed("runs_by_status", status="failed"),
    listed("runs_by_status", status="waiting"),
    listed("runs_by_status", status="cancelled"),
    listed("runs_by_status", status="failed", created_at=LATE, run_id="run-001234"),
    listed("runs_live", 1000, status="waiting", reasons=["tool"]),
    listed("runs_by_status", 600, several=["waiting", "cancelled"]),
    listed("runs_newest", 1200, several=["pending", "running", "waiting"]),
    listed("runs_by_agent", agent_id="agent-7"),
    listed("runs_by_agent", agent_id="agent-7", created_at=LATE, run_id="run-001234"),
    listed("runs_by_agent", agent_id="nobody"),
    listed("runs_by_target", target="target-7"),
    listed("runs_by_parent", parent="run-000007"),
    listed("runs_by_parent", parent="run-000007", several=["pending", "running", "waiting"]),
    listed("runs_by_tag", 1500, tag="nothing"),
    planned("projections", "due_live", [1, 50], {"runs_live", "run_head_pkey", "run_projections_pkey"}, 60_000),
    planned(
        "projections", "due_ended", [1, 50, NOW - timedelta(seconds=60)], {"runs_ended", "run_projections_pkey"}, 600
    ),
    planned("projections", "due_for_rebuild", [2, 50, PROJECT, "run-050000"], {"runs_pkey"}, 600),
    Hot(
        "activity", "usage_of_runs", [PROJECT, [f"run-{n:06}" for n in range(50)], None],
        frozenset({"runs_pkey", "run_head_pkey", "run_projections_pkey", "run_calls_pkey"}), 1_000,
    ),
    planned("search", "search_runs", found("'seldom042':*"), {"run_texts_by_word", "runs_pkey"}, 1200),
    Hot(
        "projections", "projected", [[PROJECT] * 50, [f"run-{n:06}" for n in range(50)]],
        frozenset({"runs_pkey", "run_projections_pkey"}), 600,
    ),
    Hot(
        "projections", "put_projections",
        [
            [PROJECT] * 50, [f"run-{n:06}" for n in range(1, 51)], [1] * 50, [1] * 50, [3] * 50, [NOW] * 50,
            [None] * 50, ["{}"] * 50,
        ],
        frozenset({"runs_pkey"}), 3000,
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def full(postgres: str, template: str) -> Iterator[str]:
    """The DSN of a database with 100,000 runs."""
    with copied_database(postgres, template, FILL.read_text(encoding="utf-8"), "ANALYZE") as dsn:
        yield dsn


@pytest_asyncio.fixture
async def connection(full: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Set up like the application's, in a transaction that is rolled back."""
    made = await asyncpg.connect(full, server_settings={"timezone": "UTC", **PLANNING})
    transaction = made.transaction()
    await transaction.start()
    yield made
    await transaction.rollback()
    await made.close()


def nodes(plan: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    """A plan's nodes, depth first."""
    yield plan
    below = plan.get("Plans", [])
    assert isinstance(below, list)
    for child in below:
        yield from nodes(child)


def check(plan: Mapping[str, object], indexes: frozenset[str]) -> None:
    """Guarded tables are not read from end to end, and the wanted indexes are used."""
    found = list(nodes(plan))
    scanned = [node["Relation Name"] for node in found if node["Node Type"] == "Seq Scan"]
    assert (GUARDED | PROJECTIONS).isdisjoint(scanned), f"read from end to end: {scanned}"
    assert indexes <= {node.get("Index Name") for node in found}


def names(hot: Hot) -> str:
    return f"{hot.name}-{'+'.join(sorted(hot.indexes))}"


async def prepare(connection: asyncpg.Connection[asyncpg.Record], hot: Hot) -> str:
    """Prepare the query as `hot`; the values as SQL."""
    statement = QUERIES[hot.noun][hot.name].sql
    parameters = (await connection.prepare(statement)).get_parameters()
    values = [
        await connection.fetchval(f"SELECT quote_nullable(($1::{parameter.name})::text)", value)
        for parameter, value in zip(parameters, hot.values, strict=True)
    ]
    await connection.execute(f"PREPARE hot AS {statement}")
    return ", ".join(values)


CASES = [
    pytest.param(hot, mode, id=f"{names(hot)}-{mode}")
    for hot in HOT
    for mode in ("force_generic_plan", "force_custom_plan")
    if hot.generic or mode == "force_custom_plan"
]


@pytest.mark.parametrize(("hot", "mode"), CASES)
async def test_a_hot_query(connection: asyncpg.Connection[asyncpg.Record], hot: Hot, mode: str) -> None:
    """It uses its index, and touches about as many blocks as the answer is long, whether it is planned for its values
    or for any."""
    await connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
    values = await prepare(connection, hot)
    try:
        explained = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE hot({values})")
    finally:
        await connection.execute("DEALLOCATE hot")
    plan = json.loads(explained)[0]["Plan"]
    check(plan, hot.indexes)
    touched = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    assert touched <= hot.most_blocks, f"{touched} blocks:\n{json.dumps(plan, indent=1)[:6000]}"


async def head_updates(dsn: str) -> tuple[int, int]:
    """How many rows of run_head were updated so far, and how many of them within their page."""
    made = await asyncpg.connect(dsn)
    try:
        row = await made.fetchrow(
            "SELECT n_tup_upd AS all, n_tup_hot_upd AS hot FROM pg_stat_user_tables WHERE relname = 'run_head'"
        )
    finally:
        await made.close()
    return (row["all"], row["hot"]) if row is not None else (0, 0)


async def test_an_append_updates_the_head_in_its_page(full: str) -> None:
    """No index of run_head names a column that an append writes, so the update is a heap-only one."""
    appends = 20
    updates, hot = await head_updates(full)
    database = await Database.open(full, size=1)
    try:
        wanted = Append(FOLLOWED, (Segment(("A",), ('{"type":"A"}',), external=True),))
        for _ in range(appends):
            assert (await run_events.append(database, [wanted], START_MS))[0] is not None
    finally:
        await database.close()
    async with asyncio.timeout(WAIT_SECONDS):
        # A session reports its counts when it ends, which it does a moment after we have left it.
        while (now := await head_updates(full))[0] < updates + appends:
            pass
    assert now == (updates + appends, hot + appends)
