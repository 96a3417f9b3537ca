"""What runs do, seen from their engine: internals, details, children (vertesia.md 1.3, 2.4, 2.5, 3.6)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import httpx
from jsonschema_rs import Draft202012Validator

from perdure.domain.ids import RunId, RunKey
from perdure.domain.run import Cancel, Park, PendingCall, Waiting, WaitingReason
from perdure.http.agents.details_schemas import details_schema, internals_schema, workflow_runs_schema
from perdure.http.agents.run_history import History
from perdure.services import control, lifecycle
from perdure.store import run_events
from tests.http.agents_app import AGENTS, Caller, caller
from tests.http.runs_app import PROJECT, Api, agent_run, served
from tests.store.harness import WAIT_SECONDS
from tests.store.projecting import append, call, model_step, result, superseded, text

DETAILS = Draft202012Validator(details_schema())
CHILDREN = Draft202012Validator(workflow_runs_schema())
INTERNALS = Draft202012Validator(internals_schema())
METER = {"at": 1_000_000, "ms": 40, "failed": [{"at": 999_000, "ms": 7, "error": "http_503", "message": "busy"}]}


async def busy_run(at_work: Api, who: Caller) -> RunKey:
    """A run that a worker executes: two model calls, of which one failed first, three tool calls and a signal."""
    run = await who.start(data={"task": "go"})
    [taken] = await lifecycle.claim(at_work.core, "worker-1", ["agent:echo"], 1, 60)
    assert taken.key.run_id == run["id"]
    events = [
        *text("m1", "thinking"),
        *call("c1", "look", '{"q": "x"}'),
        *call("c2", "break"),
        model_step(1, meter=METER),
        result("c1", "found"),
        result("c2", "no way", isError=True),
        model_step(2),
        *call("c3", "lost"),
        superseded("m9", "c3"),
        *call("c4", "slow"),
    ]
    await append(at_work.core, taken.key, events, rows=4)
    return taken.key


async def test_the_history_is_read_from_the_log(at_work: Api) -> None:
    who = await caller(at_work)
    key = await busy_run(at_work, who)
    query = "include_history=true&hydrate_payloads=1"
    told = await who.json("GET", f"/{key.run_id}/details?{query}&history_format=events")
    DETAILS.validate(told)
    events = told["history"]["events"]
    kinds = [(event["event_type"], event.get("activity", {}).get("id")) for event in events]
    assert kinds[0] == ("WorkflowExecutionStarted", None)
    for expected in (
        ("ActivityTaskScheduled", "c1"), ("ActivityTaskStarted", "c1"), ("ActivityTaskCompleted", "c1"),
        ("ActivityTaskFailed", "c2"), ("ActivityTaskCanceled", "c3"), ("ActivityTaskStarted", "c4"),
    ):  # fmt: skip
        assert expected in kinds
    models = [event for event in events if event.get("activity", {}).get("name") == "gpt-test"]
    assert [event["event_type"] for event in models] == [
        "ActivityTaskFailed", "ActivityTaskCompleted", "ActivityTaskCompleted",
    ]  # fmt: skip
    assert models[0]["error"] == {"message": "busy", "type": "http_503"}
    assert models[1]["result"] == {"input_tokens": 10, "output_tokens": 5}
    assert [activity["activityId"] for activity in told["pendingActivities"]] == ["c4"]

    tasks = (await who.json("GET", f"/{key.run_id}/details?{query}&history_format=tasks"))["history"]
    by_id = {task["activityId"]: task for task in tasks["tasks"]}
    assert (by_id["c1"]["status"], by_id["c1"]["input"], by_id["c1"]["result"]) == ("completed", {"q": "x"}, "found")
    assert (by_id["c2"]["status"], by_id["c2"]["error"]) == ("failed", "no way")
    assert (by_id["c3"]["status"], by_id["c4"]["status"]) == ("canceled", "running")

    agent = await who.json("GET", f"/{key.run_id}/details?{query}")
    DETAILS.validate(agent)
    assert agent["history"]["type"] == "agent"
    tools = {task.get("toolUseId"): task for task in agent["history"]["agentTasks"]}
    assert tools["c1"]["parameters"] == {"q": "x"}
    assert tools["c1"]["result"] == "found"
    assert tools["c2"]["error"] == {"type": "tool_error", "message": "no way"}
    assert sum(task["taskType"] == "llm_call" for task in agent["history"]["agentTasks"]) == 3


async def test_payloads_are_told_only_where_they_are_asked_for(at_work: Api) -> None:
    who = await caller(at_work)
    key = await busy_run(at_work, who)
    for form in ("events", "tasks", "agent"):
        told = await who.ask("GET", f"/{key.run_id}/details?include_history=true&history_format={form}")
        DETAILS.validate(told.json())
        assert "found" not in told.text
        assert '"q"' not in told.text
    plain = await who.json("GET", f"/{key.run_id}/details")
    DETAILS.validate(plain)
    assert "history" not in plain
    assert "input" not in plain
    hydrated = await who.json("GET", f"/{key.run_id}/details?hydrate_payloads=true")
    assert hydrated["input"]["data"] == {"task": "go"}
    assert (hydrated["status"], hydrated["closed_at"], hydrated["activity_state"]) == ("RUNNING", None, "working")


async def test_the_history_does_not_depend_on_how_the_log_is_cut(at_work: Api) -> None:
    key = await busy_run(at_work, await caller(at_work))
    rows = await run_events.read(at_work.core.database, key, 0, public_only=False)
    one = History(hydrate=True)
    events = [event for row in rows for event in one.add(row)]
    assert len({json.dumps(event) for event in events}) == len(events)
    numbers = [int(str(event["event_id"])) for event in events]
    assert all(before <= after for before, after in pairwise(sorted(numbers)))
    other = History(hydrate=True)
    cut = [
        event
        for row in rows
        for event_id in range(row.first_event_id, row.last_event_id + 1)
        for event in other.add(only(row.after(event_id - 1)))
    ]
    assert sorted(map(json.dumps, cut)) == sorted(map(json.dumps, events))


def only(row: Any) -> Any:
    """The first event of a row, as a row."""
    return type(row)(
        row.first_event_id, row.first_ts, row.first_external_sequence, row.public, row.types[:1],
        "[" + row.lines()[0] + "]",
    )  # fmt: skip


async def test_an_ended_run_is_told_as_such(at_work: Api) -> None:
    who = await caller(at_work)
    ended = {"failed": "FAILED", "cancelled": "CANCELED", "completed": "COMPLETED"}
    for status, word in ended.items():
        key = await busy_run(at_work, who)
        await who.json("POST", f"/{key.run_id}/status", {"status": status})
        await lifecycle.force_overdue_cancels(at_work.core, timedelta(seconds=-1))
        told = await who.json("GET", f"/{key.run_id}/details?include_history=true&history_format=events")
        DETAILS.validate(told)
        assert told["status"] == word
        assert told["closed_at"] is not None
        assert told["execution_duration"] >= 0
        assert told["has_reported_errors"] is (status == "failed")
        assert told["pendingActivities"] == []
        last = told["history"]["events"][-1]["event_type"]
        assert last == f"WorkflowExecution{word.capitalize()}"


async def test_bad_questions_are_refused(at_work: Api) -> None:
    who = await caller(at_work)
    run = await who.start()
    for query in ("include_history=maybe", "history_format=xml", "history=1"):
        await who.refused("GET", f"/{run['id']}/details?{query}", 400)
    older = {"x-api-version": "20260101"}
    assert (await who.ask("GET", f"/{run['id']}/details?history=1", headers=older)).status_code == 200
    for path in ("internals", "details", "details/stream", "children", "children/x/details"):
        await who.refused("GET", f"/nothing/{path}", 404)


async def test_internals(at_work: Api) -> None:
    who = await caller(at_work)
    run = await who.start(title="T")
    told = await who.json("GET", f"/{run['id']}/internals")
    INTERNALS.validate(told)
    assert (told["workflow_id"], told["artifacts_path"]) == (f"agent:{run['id']}", f"agents/{run['id']}")
    bound = {"workflow_id": "w-1", "first_workflow_run_id": "x-1"}
    await who.json("POST", f"/{run['id']}/workflow", bound)
    told = await who.json("GET", f"/{run['id']}/internals")
    assert {name: told[name] for name in bound} == bound
    details = await who.json("GET", f"/{run['id']}/details")
    assert (details["workflow_id"], details["run_id"]) == ("w-1", "x-1")


async def test_children_are_listed_and_told(at_work: Api) -> None:
    who = await caller(at_work)
    other = await caller(at_work)
    parent = await who.start()
    made = await at_work.json("POST", "/runs", agent_run(parent_run_id=parent["id"], agent_id="echo"))
    recorded = {"workflow_id": "w", "first_workflow_run_id": "f", "interaction": "x", "parent_run_id": parent["id"]}
    hidden = await other.json("POST", "/record", {**recorded, "visibility": "private"})
    listed = await who.json("GET", f"/{parent['id']}/children")
    CHILDREN.validate(listed)
    child_id = made["run"]["run_id"]
    assert [child["workflow_id"] for child in listed["runs"]] == [f"agent:{child_id}"]
    assert len((await other.json("GET", f"/{parent['id']}/children"))["runs"]) == 2
    for name in (child_id, f"agent:{child_id}"):
        told = await who.json("GET", f"/{parent['id']}/children/{name}/details")
        DETAILS.validate(told)
        assert told["workflow_id"] == f"agent:{child_id}"
    await who.refused("GET", f"/{parent['id']}/children/{hidden['id']}/details", 404)
    await who.refused("GET", f"/{child_id}/children/{parent['id']}/details", 404)
    await who.refused("GET", f"/{parent['id']}/children/nothing/details", 404)
    assert len((await who.json("GET", f"/{parent['id']}/details"))["children"]) == 1


async def frames(answer: httpx.Response) -> AsyncIterator[tuple[str, Any]]:
    """The named frames of a stream."""
    name = ""
    async for line in answer.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


async def test_the_history_is_followed_to_its_end(at_work: Api) -> None:
    who = await caller(at_work)
    key = await busy_run(at_work, who)
    seen: list[tuple[str, Any]] = []
    async with served(at_work.app) as url, asyncio.timeout(WAIT_SECONDS), httpx.AsyncClient() as client:
        where = f"{url}{AGENTS}/{key.run_id}/details/stream"
        async with client.stream("GET", where, params={"access_token": who.key}) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            async for name, value in frames(answer):
                seen.append((name, value))
                if len(seen) == 3:
                    await who.json("POST", f"/{key.run_id}/status", {"status": "completed"})
        async with client.stream("GET", where, headers={"Authorization": f"Bearer {who.key}"}) as again:
            assert [frame async for frame in frames(again)] == seen
        assert (await client.get(where)).status_code == 401
        assert (await client.get(where, params={"access_token": "x"})).status_code == 401
    assert seen[-1] == ("control", {"type": "done"})
    assert {name for name, _ in seen[:-1]} == {"history"}
    assert seen[0][1] == {
        "runId": key.run_id,
        "event": {**seen[0][1]["event"], "event_type": "WorkflowExecutionStarted", "attempt": 1},
    }
    assert seen[-2][1]["event"]["event_type"] == "WorkflowExecutionCompleted"


async def test_a_token_in_the_url_opens_the_streams_only(at_work: Api) -> None:
    who = await caller(at_work)
    run = await who.start()
    for path in ("", f"/{run['id']}", f"/{run['id']}/details", f"/{run['id']}/internals", f"/{run['id']}/children"):
        answer = await at_work.client.get(
            f"{AGENTS}{path}", params={"access_token": who.key}, headers={"Authorization": ""}
        )
        assert answer.status_code == 401, path
        assert who.key not in answer.text


async def test_signals_and_waits_are_told(at_work: Api) -> None:
    who = await caller(at_work)
    made = await at_work.create()
    key = RunKey(PROJECT, RunId(made["run"]["run_id"]))
    await lifecycle.apply(at_work.core, key, Park(Waiting(WaitingReason.TOOL, (PendingCall("c", "ask"),)), None))
    told = await who.json("GET", f"/{key.run_id}/details")
    assert (told["activity_state"], told["pendingActivities"][0]["activityType"]) == ("idle", "ask")
    await control.signal(at_work.core, key, "hello", {"x": 1})
    await lifecycle.apply(at_work.core, key, Cancel("Enough."))
    await who.json("POST", f"/{key.run_id}/restart")
    for hydrate in (True, False):
        query = f"include_history=true&history_format=events&hydrate_payloads={hydrate}"
        told = await who.json("GET", f"/{key.run_id}/details?{query}")
        DETAILS.validate(told)
        events = told["history"]["events"]
        assert [event["event_type"] for event in events] == [
            "WorkflowExecutionPaused", "WorkflowExecutionSignaled", "WorkflowExecutionCanceled",
            "WorkflowExecutionRestarted",
        ]  # fmt: skip
        given = {"input": {"x": 1}} if hydrate else {}
        assert events[1]["signal"] == {"direction": "receiving", "signalName": "hello", **given}
        assert events[2]["error"] == {"message": "Enough.", "type": "CANCELLED"}
