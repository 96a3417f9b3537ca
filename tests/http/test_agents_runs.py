"""Agent runs through the Agent Runs API: start, read, list, end, restart, fork (vertesia.md 1.1, 1.7, 2, 4)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from perdure.domain.ids import RunId, RunKey
from perdure.domain.run import Finish, Park, PendingCall, RunError, Status, Waiting, WaitingReason
from perdure.services import catalog, control, lifecycle
from perdure.store import run_events
from tests.http.agents_app import RUN, RUNS, Caller, caller
from tests.http.runs_app import PROJECT, Api
from tests.store.projecting import append, text

SEED: dict[str, Any] = {
    "interaction": "echo",
    "environment": "openai",
    "model": "gpt-9",
    "data": {"task": "Write."},
    "interactive": False,
    "tool_names": ["+search", "-delete"],
    "visibility": "project",
    "tags": ["a", "b"],
    "max_iterations": 5,
}
EVERYTHING: dict[str, Any] = {
    "interaction": "echo@draft",
    "data": {"prompt": "Go on.", "more": [1, {"x": None}]},
    "config": {
        "id": "c",
        "environment": "openai",
        "model": "gpt-9",
        "do_validate": True,
        "run_data": "DEBUG",
        "configMode": "RUN_CONFIG_ONLY",
        "model_options": {"_option_id": "x", "temperature": 0.5},
        "prompt_cache_key": "k",
        "prompt_cache_schema_suffix": False,
        "http_timeout": {"headersTimeout": 1},
    },
    "interactive": True,
    "tool_approval_mode": "ask",
    "tool_names": ["search"],
    "initial_skills": ["s"],
    "initial_tool_calls": [{"id": "1", "tool": "search", "input": {"q": 1}, "on_error": "continue"}],
    "excluded_tools": ["delete"],
    "collection_id": "col",
    "disabled_mcp_collections": ["mcp"],
    "content_type": {"ref_type": "stored", "id": "t", "name": "Invoice", "default_view": "pdf"},
    "visibility": "private",
    "tags": ["a"],
    "categories": ["c"],
    "properties": {"customer": 7},
    "source": {"type": "ui", "label": "UI", "principal_type": "user", "principal_id": "ann", "client_ip": "::1"},
    "schedule_id": "sched",
    "source_type": "schedule",
    "search_scope": "collection",
    "user_channels": [{"type": "interactive"}, {"type": "email", "to_email": "a@b.example", "references": ["r"]}],
    "checkpoint_tokens": 100,
    "checkpoint": {"context_threshold": 0.5, "max_tokens": 1000},
    "max_iterations": 3,
    "notify_endpoints": ["https://example.com/done"],
    "debug_mode": True,
    "title": "T",
    "topic": "about",
    "generate_topic": True,
    "generate_lessons": False,
}
ECHOED = (
    "data", "interactive", "tool_approval_mode", "tool_names", "initial_skills", "initial_tool_calls", "excluded_tools",
    "collection_id", "disabled_mcp_collections", "content_type", "visibility", "tags", "categories", "properties",
    "source", "schedule_id", "source_type", "title", "topic", "config",
)  # fmt: skip
KEPT_TO_ITSELF = (
    "search_scope", "user_channels", "checkpoint_tokens", "checkpoint", "max_iterations", "notify_endpoints",
    "debug_mode",
)  # fmt: skip


def key_of(run: dict[str, Any]) -> RunKey:
    return RunKey(PROJECT, RunId(run["id"]))


async def claimed(at_work: Api) -> RunKey:
    """The run that a worker takes up now."""
    [taken] = await lifecycle.claim(at_work.core, "worker-1", ["agent:echo"], 1, 60)
    return taken.key


async def events(at_work: Api, run: dict[str, Any]) -> list[Any]:
    """The public events of a run."""
    page = await at_work.json("GET", f"/runs/{run['id']}/events")
    return [event["payload"] for event in page["data"]]


async def test_a_run_as_the_first_form_of_the_api_starts_it(at_work: Api) -> None:
    who = await caller(at_work)
    run = await who.start(**SEED)
    assert (run["environment"], run["model"]) == ("openai", "gpt-9")
    assert run["config"] == {"environment": "openai", "model": "gpt-9"}
    assert {name: run[name] for name in ("data", "interactive", "tool_names", "tags", "visibility")} == {
        name: SEED[name] for name in ("data", "interactive", "tool_names", "tags", "visibility")
    }
    assert (run["status"], run["activity_state"], run["started_by"]) == ("running", "working", who.subject)
    assert await who.json("GET", f"/{run['id']}") == run
    assert (await at_work.json("GET", f"/runs/{run['id']}"))["status"] == "pending"


async def test_every_field_is_taken(at_work: Api) -> None:
    who = await caller(at_work)
    run = await who.start(**EVERYTHING)
    assert {name: run[name] for name in ECHOED} == {name: EVERYTHING[name] for name in ECHOED}
    assert not run.keys() & set(KEPT_TO_ITSELF)
    assert (run["interaction"], run["interaction_name"], run["type"]) == ("echo@draft", "echo", "schedule")
    assert (run["interactionRef"]["status"], run["interactionRef"]["version"]) == ("code", 0)
    input_ = (await who.json("GET", f"/runs/{run['id']}"))["input"]
    assert input_["messages"] == [{"role": "user", "content": "Go on."}]
    assert input_["runtime_overrides"]["max_steps"] == 3


@pytest.mark.parametrize(
    ("data", "interactive", "first"),
    [
        ({"task": "a", "prompt": "b"}, True, "a"),
        ({"prompt": "b", "message": "c"}, True, "b"),
        ({"message": "c"}, True, "c"),
        ({"task": 1, "x": "y"}, True, '{"task":1,"x":"y"}'),
        ({}, False, "{}"),
        ({}, True, None),
    ],
)
async def test_the_first_turn(at_work: Api, data: dict[str, Any], interactive: bool, first: str | None) -> None:
    who = await caller(at_work)
    run = await who.start(data=data, interactive=interactive)
    messages = (await who.json("GET", f"/runs/{run['id']}"))["input"]["messages"]
    assert messages == ([] if first is None else [{"role": "user", "content": first}])


BAD: tuple[object, ...] = (
    {},
    [],
    {"interaction": ""},
    {"interaction": "echo", "more": 1},
    {"interaction": "echo", "config": {"more": 1}},
    {"interaction": "echo", "data": "text"},
    {"interaction": "echo", "tool_approval_mode": "never"},
    {"interaction": "echo", "search_scope": "all"},
    {"interaction": "echo", "user_channels": [{"type": "email"}]},
    {"interaction": "echo", "source": {"type": "api"}},
    {"interaction": "echo", "initial_tool_calls": [{"id": "1"}]},
    {"interaction": "echo", "title": "\u0000"},
)


async def test_bad_bodies_start_nothing(at_work: Api) -> None:
    who = await caller(at_work)
    for body in BAD:
        await who.refused("POST", "", 400, body)
    await who.refused("POST", "", 400, content=b"{")
    await who.refused("POST", "", 404, {"interaction": "nobody"})
    assert (await who.json("GET"))["total_count"] == 0


async def test_older_clients_may_say_more(at_work: Api) -> None:
    who = await caller(at_work)
    body = {"interaction": "echo", "more": 1}
    for version, status in (("20260802", 200), ("20260101", 200), ("20260803", 400), ("20270101", 400)):
        assert (await who.ask("POST", "", body, headers={"x-api-version": version})).status_code == status, version
        assert (await who.ask("GET", "?more=1", headers={"x-api-version": version})).status_code == status, version
    for version in ("1", "tomorrow", "2026080", ""):
        await who.refused("POST", "", 400, {"interaction": "echo"}, headers={"x-api-version": version})
    seed = {"interaction": "echo", "environment": "e", "model": "m"}
    assert (await who.ask("POST", "", seed, headers={"x-api-version": "20260803"})).status_code == 200


async def test_versions_of_an_agent(at_work: Api) -> None:
    who = await caller(at_work)
    await catalog.register(at_work.core, "worker-2", [("agent", "named@2"), ("agent", "named")], 1)
    assert (await who.start(interaction="named@2"))["interaction_name"] == "named@2"
    assert (await who.start(interaction="named@draft"))["interaction_name"] == "named"
    assert (await who.start(interaction="echo@5"))["interaction_name"] == "echo"
    await who.refused("POST", "", 404, {"interaction": "named@3"})


# --- lists -----------------------------------------------------------------------------------------------------------


async def listed(who: Caller, query: str = "") -> list[str]:
    """The titles of a list's runs, in order."""
    page = await who.json("GET", f"?{query}")
    RUNS.validate(page)
    assert page["total_count"] >= len(page["items"])
    return [run["title"] for run in page["items"]]


async def test_lists_are_filtered(at_work: Api) -> None:
    who, other = await caller(at_work), await caller(at_work)
    done = await who.start(title="done", schedule_id="s1")
    await lifecycle.apply(at_work.core, key_of(done), Finish(Status.COMPLETED))
    failed = await who.start(title="failed", interaction="echo@1")
    await lifecycle.apply(at_work.core, key_of(failed), Finish(Status.FAILED, RunError("no")))
    waits = await other.start(title="waits")
    assert (await claimed(at_work)).run_id == waits["id"]
    await lifecycle.apply(at_work.core, key_of(waits), Park(Waiting(WaitingReason.INPUT), None))
    live = await who.start(title="live", source_type="schedule")
    for query, titles in (
        ("", ["live", "waits", "failed", "done"]),
        ("status=completed", ["done"]),
        ("status=completed,failed", ["failed", "done"]),
        ("status=completed&status=failed", ["failed", "done"]),
        ("status=running", ["live", "waits"]),
        ("status=cancelled", []),
        ("status=created", []),
        (f"id={live['id']}", ["live"]),
        ("id=nothing", []),
        ("interaction=echo", ["live", "waits", "failed", "done"]),
        ("interaction=nobody", []),
        (f"started_by={quote(other.subject)}", ["waits"]),
        ("started_by=user:nobody", []),
        ("schedule_id=s1", ["done"]),
        ("run_kind=agent", ["live", "waits", "failed", "done"]),
        ("run_kind=process", []),
        ("run_type=autonomous,supervised", ["live", "waits", "failed", "done"]),
        ("run_type=supervised", []),
        ("order=asc", ["done", "failed", "waits", "live"]),
        ("limit=1", ["live"]),
        ("limit=2&offset=1", ["waits", "failed"]),
        ("offset=9", []),
        ("limit=100000", ["live", "waits", "failed", "done"]),
        (f"since={quote(failed['started_at'])}&order=asc", ["waits", "live"]),
        (f"until={quote(failed['started_at'])}", ["failed", "done"]),
    ):
        found = await listed(who, query)
        if query.startswith(("since", "until")):
            found = [title for title in found if title not in ("failed",) or "until" in query]
        assert found == titles, query
    assert (await listed(who, "sort=updated_at"))[0] == "live"


async def test_an_unknown_word_in_a_filter_is_refused(at_work: Api) -> None:
    who = await caller(at_work)
    for query in (
        "status=paused", "type=x", "sort=name", "order=up", "limit=0", "limit=x", "offset=-1", "cursor=x", "since=x",
        "run_kind=x", "run_type=x", "unknown=1", "id=", "interaction=%00",
    ):  # fmt: skip
        await who.refused("GET", f"?{query}", 400)


async def test_pages_show_every_run_once(at_work: Api) -> None:
    who = await caller(at_work)
    made = [(await who.start(title=str(number)))["title"] for number in range(7)]
    for sort in ("started_at", "updated_at"):
        for order, expected in (("asc", made), ("desc", made[::-1])):
            seen: list[str] = []
            cursor: str | None = ""
            while cursor is not None:
                more = f"&cursor={cursor}&offset=3" if cursor else ""
                page = await who.json("GET", f"?limit=3&sort={sort}&order={order}{more}")
                RUNS.validate(page)
                assert page["total_count"] == 7
                seen += [run["title"] for run in page["items"]]
                cursor = page["next_cursor"]
            assert seen == expected, (sort, order)


# --- steering --------------------------------------------------------------------------------------------------------


async def test_a_terminated_run_stays_terminated(at_work: Api) -> None:
    who = await caller(at_work)
    run = await who.start()
    told = await who.json("DELETE", f"/{run['id']}?reason=No%20longer%20needed")
    assert told["reason"] == "No longer needed"
    assert set(told) == {"message", "reason"}
    ended = await who.json("GET", f"/{run['id']}")
    RUN.validate(ended)
    assert (ended["status"], "completed_at" in ended, "activity_state" in ended) == ("cancelled", True, False)
    assert set(await who.json("DELETE", f"/{run['id']}")) == {"message"}
    assert await who.json("GET", f"/{run['id']}") == ended
    assert [event["message"] for event in await events(at_work, run)] == ["No longer needed"]
    done = await who.start()
    await lifecycle.apply(at_work.core, key_of(done), Finish(Status.COMPLETED))
    await who.json("DELETE", f"/{done['id']}")
    assert (await who.json("GET", f"/{done['id']}"))["status"] == "completed"
    await who.refused("DELETE", "/nothing", 404)


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.CANCELLED])
async def test_a_restarted_run_keeps_its_history(at_work: Api, status: Status) -> None:
    who = await caller(at_work)
    run = await who.start(data={"task": "x"}, title="T")
    key = await claimed(at_work)
    await who.refused("POST", f"/{run['id']}/restart", 409)
    await append(at_work.core, key, text("m", "said"))
    await lifecycle.apply(at_work.core, key, Finish(status))
    before = await events(at_work, run)
    again = await who.json("POST", f"/{run['id']}/restart", {"nd_restart_count": 1})
    RUN.validate(again)
    assert (again["id"], again["status"], "completed_at" in again) == (run["id"], "running", False)
    assert (again["started_at"], again["title"]) == (run["started_at"], "T")
    after = await events(at_work, run)
    assert after[: len(before)] == before
    assert after[len(before) :][0]["name"] == "perdure.run.restarted"
    await control.signal(at_work.core, key, "UserInput", {"message": "next"})
    assert await claimed(at_work) == key
    await who.refused("POST", f"/{run['id']}/restart", 400, {"more": 1})
    await who.refused("POST", "/nothing/restart", 404)


async def log_of(at_work: Api, key: RunKey) -> list[tuple[int, str, bool]]:
    """A run's whole log."""
    rows = await run_events.read(at_work.core.database, key, 0, public_only=False)
    return [
        (row.first_event_id + place, line, row.public)
        for row in rows
        for place, line in enumerate(row.lines())
    ]  # fmt: skip


@pytest.mark.parametrize("state", ["pending", "running", "waiting", "parked", "completed", "failed", "cancelled"])
async def test_a_fork_starts_with_the_sources_history(at_work: Api, state: str) -> None:
    who, other = await caller(at_work), await caller(at_work)
    source = await who.start(data={"task": "x"}, title="T", tags=["t"], properties={"a": 1}, config={"model": "m"})
    key = key_of(source)
    if state != "pending":
        assert await claimed(at_work) == key
        await append(at_work.core, key, text("m", "said"))
    match state:
        case "waiting":
            await lifecycle.apply(at_work.core, key, Park(Waiting(WaitingReason.INPUT), None))
        case "parked":
            calls = (PendingCall("c1", "ask"),)
            await lifecycle.apply(at_work.core, key, Park(Waiting(WaitingReason.TOOL, calls), None))
        case "completed" | "failed" | "cancelled":
            await lifecycle.apply(at_work.core, key, Finish(Status(state)))
        case _:
            assert state in ("pending", "running")
    before, log = await who.json("GET", f"/{source['id']}"), await log_of(at_work, key)
    fork = await other.json("POST", f"/{source['id']}/fork")
    RUN.validate(fork)
    assert fork["id"] != source["id"]
    assert (fork["forked_from"], fork["status"], fork["started_by"]) == (source["id"], "running", other.subject)
    for name in ("interaction", "data", "config", "title", "tags", "properties", "interactive", "visibility"):
        assert fork[name] == source[name], name
    copied = await log_of(at_work, key_of(fork))
    assert copied[: len(log)] == log
    assert len(copied) == len(log) + 1
    assert await who.json("GET", f"/{source['id']}") == before
    assert await log_of(at_work, key) == log

    await lifecycle.apply(at_work.core, key_of(fork), Finish(Status.FAILED))
    assert await who.json("GET", f"/{source['id']}") == before
    assert await log_of(at_work, key) == log


async def test_a_fork_of_a_fork_and_of_a_private_run(at_work: Api) -> None:
    who, other = await caller(at_work), await caller(at_work)
    source = await who.start(visibility="private")
    await other.refused("POST", f"/{source['id']}/fork", 404)
    fork = await who.json("POST", f"/{source['id']}/fork")
    again = await who.json("POST", f"/{fork['id']}/fork")
    assert (fork["visibility"], again["visibility"]) == ("private", "private")
    assert again["forked_from"] == fork["id"]
    await other.refused("GET", f"/{again['id']}", 404)
    await who.refused("POST", f"/{fork['id']}/fork", 400, {"more": 1})
    await who.refused("POST", "/nothing/fork", 404)


async def test_a_fork_of_a_run_that_somebody_else_executes(at_work: Api) -> None:
    who = await caller(at_work)
    body = {"workflow_id": "w", "first_workflow_run_id": "f", "interaction": "x"}
    source = await who.json("POST", "/record", body)
    await who.json("POST", f"/{source['id']}/status", {"properties": {"a": 1}, "archive_state": "complete"})
    fork = await who.json("POST", f"/{source['id']}/fork")
    assert (fork["status"], fork["forked_from"]) == ("created", source["id"])
    assert (fork["properties"], "archive_state" in fork) == ({"a": 1}, False)
    assert (await who.json("GET", f"/{fork['id']}/internals"))["workflow_id"] == f"agent:{fork['id']}"


async def test_runs_of_either_dialect_are_seen_by_both(at_work: Api) -> None:
    who = await caller(at_work)
    made = await at_work.create()
    other = await who.json("GET", f"/{made['run']['run_id']}")
    RUN.validate(other)
    assert other["interaction"] == "writer"
    mine = await who.start(data={"task": "x"})
    assert [run["run_id"] for run in (await who.json("GET", "/runs"))["data"]] == [mine["id"], other["id"]]
    await at_work.json("POST", f"/runs/{mine['id']}/cancel")
    assert (await who.json("GET", f"/{mine['id']}"))["status"] == "cancelled"
    await who.json("DELETE", f"/{other['id']}")
    assert (await at_work.json("GET", f"/runs/{other['id']}"))["status"] == "cancelled"
    task = {"kind": "task", "owner": {"kind": "project", "id": str(PROJECT)}, "request": {"target": "task:t"}}
    run_id = (await at_work.json("POST", "/runs", task))["run"]["run_id"]
    await who.refused("GET", f"/{run_id}", 404)
