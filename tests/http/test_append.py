"""Appends over HTTP: the contract as clients of the protocol see it (veryfront.md sections 0 and 2)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure.domain.ids import RunKey
from perdure.domain.run import Park, PendingCall, Waiting, WaitingReason
from perdure.services import lifecycle
from tests.http.runs_app import Api, agent_run, api, problem_in
from tests.store.harness import events_of, whole_log


def numbered(*numbers: int) -> list[dict[str, Any]]:
    return [{"type": "CUSTOM", "name": "n", "value": number} for number in numbers]


async def append(
    at_work: Api,
    path: str,
    events: list[Any],
    *,
    after: int | None = None,
    after_external: int | None = None,
    status: int = 200,
) -> Any:
    body: dict[str, Any] = {"events": events}
    if after is not None:
        body["expected_previous_event_id"] = after
    if after_external is not None:
        body["expected_previous_external_event_sequence"] = after_external
    answer = await at_work.client.post(f"{path}/events", json=body)
    assert answer.status_code == status, answer.text
    return answer.json() if status == 200 else problem_in(answer)


async def stored(at_work: Api, path: str) -> list[Any]:
    page = await at_work.json("GET", f"{path}/events?limit=500")
    return [entry["event"].get("value", entry["event"]["type"]) for entry in page["data"]]


async def park(at_work: Api, key: RunKey) -> None:
    waiting = Waiting(WaitingReason.TOOL, (PendingCall("call-1", "ask"),))
    await lifecycle.apply(at_work.core, key, Park(waiting, None))


async def test_an_append_answers_the_run_and_its_counters(database: str) -> None:
    async with api(database) as at_work:
        path, key = await at_work.conversation_run()
        answer = await append(at_work, path, numbered(1, 2), after=0, after_external=0)
        counters = {"latest_event_id": 2, "latest_external_event_sequence": 2}
        assert answer == {"run": answer["run"], "appended_count": 2, **counters}
        projection = await at_work.json("GET", path)
        assert answer["run"] == projection
        assert projection | counters == projection
        assert projection["run_id"] == key.run_id
        assert projection["status"] == "running"
        assert projection["conversation_id"] in path
        assert projection["message_id"]
        assert projection["waiting_tool_call_id"] is None
        assert projection["waiting_tool_name"] is None


async def test_the_bytes_that_came_in_go_out(database: str) -> None:
    async with api(database) as at_work:
        path, key = await at_work.conversation_run()
        body = b'{"events":[{"type":"CUSTOM", "name":"n","value":{"b":1.50,"a":1e2,"\\u00e9":"\\u00e9"}}\n]}'
        assert (await at_work.client.post(f"{path}/events", content=body)).status_code == 200
        event = rb'{"type":"CUSTOM", "name":"n","value":{"b":1.50,"a":1e2,"\u00e9":"\u00e9"}}'
        for url in (f"{path}/events", f"/runs/{key.run_id}/events"):
            assert event in (await at_work.client.get(url)).content


async def test_refusals_have_the_exact_words_that_clients_know(database: str) -> None:
    """Rules 1 to 4 of veryfront.md section 0."""
    async with api(database) as at_work:
        path, key = await at_work.conversation_run()
        await append(at_work, path, numbered(1, 2))
        for cursors in ({"after": 1}, {"after": 3}, {"after_external": 1}, {"after_external": 3}):
            problem = await append(at_work, path, numbered(7), status=400, **cursors)
            assert problem["detail"] == "External run event cursor mismatch"
            assert problem["code"] == "cursor_mismatch"
            assert "error" not in problem
        problem = await append(at_work, path, [{"type": "CUSTOM", "value": "x" * 300_000}], status=400)
        assert "payload must be less than" in problem["detail"]

        await park(at_work, key)
        problem = await append(at_work, path, numbered(7), status=400)
        assert problem["detail"] == "Cannot append external events while the run is waiting for a tool result"

        await at_work.json("POST", f"/runs/{key.run_id}/cancel")
        problem = await append(at_work, path, numbered(7), status=400)
        assert problem["detail"] == "Cannot append external events to a terminal run"
        assert await stored(at_work, path) == [1, 2, *(await stored(at_work, path))[2:]]


async def test_a_repeated_append_is_stored_once(database: str) -> None:
    """Every case of veryfront.md 2.3, with either cursor."""
    async with api(database) as at_work:
        for cursor in ("after", "after_external"):
            path, _ = await at_work.conversation_run()
            assert (await append(at_work, path, numbered(1, 2), **{cursor: 0}))["appended_count"] == 2
            whole = await append(at_work, path, numbered(1, 2), **{cursor: 0})
            assert (whole["appended_count"], whole["latest_event_id"]) == (0, 2)
            # The answer to [1, 2] was lost, and 3 was queued meanwhile: a committed prefix.
            rest = await append(at_work, path, numbered(1, 2, 3), **{cursor: 0})
            assert (rest["appended_count"], rest["latest_event_id"]) == (1, 3)
            assert rest["run"]["latest_external_event_sequence"] == 3
            # The same events in another spelling, and the batch with others after it.
            spelled = [{"value": number, "name": "n", "type": "CUSTOM"} for number in (1, 2)]
            assert (await append(at_work, path, spelled, **{cursor: 0}))["appended_count"] == 0
            await append(at_work, path, numbered(1, 4), status=400, **{cursor: 0})
            assert await stored(at_work, path) == [1, 2, 3]


async def test_a_writer_that_lost_its_last_answer_is_not_told_that_the_run_has_ended(database: str) -> None:
    async with api(database) as at_work:
        path, key = await at_work.conversation_run()
        await append(at_work, path, numbered(1), after=0)
        await at_work.json("POST", f"/runs/{key.run_id}/complete", {"status": "completed"})
        again = await append(at_work, path, numbered(1), after=0)
        assert again["appended_count"] == 0
        assert again["run"]["status"] == "completed"
        # A prefix was committed, but what is new comes too late.
        problem = await append(at_work, path, numbered(1, 2), after_external=0, status=400)
        assert problem["detail"] == "Cannot append external events to a terminal run"


async def test_private_events_move_only_the_event_id(database: str) -> None:
    async with api(database) as at_work:
        path, key = await at_work.conversation_run()
        private = {"type": "AGENT_RUN_MODEL_CALL_CONTEXT", "messages": ["secret"]}
        answer = await append(at_work, path, [*numbered(1), private, *numbered(2)])
        assert answer["latest_event_id"] == 3
        assert answer["latest_external_event_sequence"] == 2
        assert await stored(at_work, path) == [1, 2]
        await at_work.json("POST", f"/runs/{key.run_id}/complete", {"status": "completed"})
        for url in (f"{path}/stream", f"{path}/events", f"/runs/{key.run_id}/stream", f"/runs/{key.run_id}/events"):
            assert "secret" not in (await at_work.client.get(url)).text
        assert (await append(at_work, path, [*numbered(1), private, *numbered(2)], after=0))["appended_count"] == 0


async def test_the_first_append_starts_a_pending_run(database: str) -> None:
    async with api(database) as at_work:
        path, _ = await at_work.conversation_run(initial_status="pending")
        assert (await at_work.json("GET", path))["status"] == "pending"
        answer = await append(at_work, path, numbered(1), after=0)
        assert answer["run"]["status"] == "running"
        assert answer["run"]["started_at"]


async def test_an_append_shows_what_happened_to_the_run_meanwhile(database: str) -> None:
    """The remembered projection is good for one revision only."""
    async with api(database) as at_work:
        path, key = await at_work.conversation_run()
        await append(at_work, path, numbered(1))
        await park(at_work, key)
        await append(at_work, path, numbered(2), status=400)
        await at_work.json(
            "POST", f"/runs/{key.run_id}/resume", {"type": "tool_result", "tool_call_id": "call-1", "result": 1}
        )
        answer = await append(at_work, path, numbered(3))
        assert answer["run"] == await at_work.json("GET", path)


async def test_a_run_of_another_conversation_is_not_there(database: str) -> None:
    async with api(database) as at_work:
        path, key = await at_work.conversation_run()
        other, _ = await at_work.conversation_run()
        wrong = f"{other.rsplit('/', 1)[0]}/{key.run_id}"
        for remembered in (False, True):
            if remembered:
                await append(at_work, path, numbered(1))
            assert (await append(at_work, wrong, numbered(1), status=404))["code"] == "run_not_found"
            await at_work.problem("GET", wrong, 404)
            await at_work.problem("GET", f"{wrong}/events", 404)
            await at_work.problem("GET", f"{wrong}/stream", 404)
        assert await stored(at_work, path) == [1]


async def test_a_run_of_another_project_is_not_there(database: str) -> None:
    async with api(database) as at_work:
        path, key = await at_work.conversation_run()
        await at_work.json("POST", "/projects", {"slug": "other"})
        stranger = await at_work.json("POST", "/projects/other/keys", {"name": "stranger"})
        headers = {"Authorization": f"Bearer {stranger['key']}"}
        run = f"/runs/{key.run_id}"
        for method, url in (
            ("GET", path), ("GET", f"{path}/events"), ("POST", f"{path}/events"), ("GET", f"{path}/stream"),
            ("GET", run), ("GET", f"{run}/events"), ("GET", f"{run}/stream"), ("POST", f"{run}/cancel"),
            ("POST", f"{run}/complete"), ("POST", f"{run}/resume"), ("POST", f"{run}/restart"),
            ("POST", f"{run}/signals/go"),
        ):  # fmt: skip
            body = {
                "events": {"events": numbered(1)},
                "complete": {"status": "failed"},
                "resume": {"type": "tool_result", "tool_call_id": "c", "result": 1},
            }.get(url.rsplit("/", 1)[1])
            more: dict[str, Any] = {"headers": headers} if body is None else {"headers": headers, "json": body}
            problem = await at_work.problem(method, url, 404, **more)
            assert problem["code"] == "run_not_found", (method, url)
        assert (await at_work.client.get("/runs", headers=headers)).json()["data"] == []
        foreign = await at_work.client.post("/runs", headers=headers, json=agent_run())
        assert problem_in(foreign)["code"] == "project_not_found"
        assert await stored(at_work, path) == []


@pytest.mark.parametrize("writers", [12])
async def test_writers_at_once_lose_and_repeat_nothing(database: str, writers: int) -> None:
    async with api(database) as at_work:
        path, key = await at_work.conversation_run()
        answers = await asyncio.gather(*(append(at_work, path, numbered(number)) for number in range(writers)))
        assert sorted(answer["latest_event_id"] for answer in answers) == list(range(1, writers + 1))
        assert sorted(await stored(at_work, path)) == list(range(writers))
        log = events_of(await whole_log(at_work.core.database, key))
        assert [event_id for event_id, _ in log] == list(range(1, writers + 1))
