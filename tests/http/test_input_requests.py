"""Input requests over HTTP (veryfront.md 1.6, 2.6)."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from jsonschema_rs import Draft202012Validator

from perdure.domain.agent_state import INPUT_REQUEST_EVENT
from perdure.domain.run import Park, PendingCall, Waiting, WaitingReason
from perdure.http.runs.input_request_schemas import input_request_page_schema, input_request_schema
from perdure.services import input_requests, lifecycle
from tests.http.runs_app import Api
from tests.http.test_conversations import stranger
from tests.store.harness import WAIT_SECONDS, events_of, whole_log

ANSWER = Draft202012Validator(input_request_schema(), validate_formats=True)
PAGE = Draft202012Validator(input_request_page_schema(), validate_formats=True)
FIELDS: list[dict[str, Any]] = [
    {"type": "text", "name": "who", "label": "Who?", "required": True, "minLength": 2, "pattern": "[a-z]+"},
    {"type": "number", "name": "age", "label": "Age", "min": 1, "max": 99},
    {"type": "select", "name": "tea", "label": "Tea", "options": [{"value": "a", "label": "A"}]},
    {"type": "confirm", "name": "sure", "label": "Sure?", "confirmLabel": "Yes", "denyLabel": "No"},
    {"type": "email", "name": "mail", "label": "Mail"},
    {"type": "password", "name": "word", "label": "Word"},
]


def form(run_id: str, **more: object) -> dict[str, Any]:
    later = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    return {
        "run_id": run_id, "tool_call_id": "c1", "kind": "form", "requested_responder_type": "human", "title": "Tea",
        "fields": FIELDS, "expires_at": later, "metadata": {"submitLabel": "Go"}, **more,
    }  # fmt: skip


async def asked(at_work: Api, **more: object) -> tuple[str, Any, dict[str, Any]]:
    """The path of a conversation's input requests, the run, and a new request."""
    path, key = await at_work.conversation_run()
    requests = path.partition("/runs/")[0] + "/input-requests"
    answer = await at_work.client.post(requests, json=form(key.run_id, **more))
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    ANSWER.validate(made)
    return requests, key, made


async def told(at_work: Api, key: Any) -> list[tuple[str, str]]:
    """What the log tells of input requests: action and status."""
    events = [json.loads(line) for _, line in events_of(await whole_log(at_work.core.database, key))]
    values = [event["value"] for event in events if event.get("name") == INPUT_REQUEST_EVENT]
    return [(value["action"], value["inputRequest"]["status"]) for value in values]


async def test_a_request_is_made_read_listed_and_answered(at_work: Api) -> None:
    path, key, made = await asked(at_work)
    assert (made["status"], made["fields"], made["metadata"]) == ("open", FIELDS, {"submitLabel": "Go"})
    assert (made["run_id"], made["latest_response"], made["recommendations"]) == (key.run_id, None, None)
    one = f"{path}/{made['id']}"
    assert await at_work.json("GET", one) == made
    page = await at_work.json("GET", path, params={"status": "open"})
    PAGE.validate(page)
    assert page["data"] == [made]
    values = {"who": "ann", "age": 7, "tea": "a", "sure": True, "mail": None, "word": "hush"}
    done = await at_work.json("POST", f"{one}/responses", {"values": values})
    ANSWER.validate(done)
    assert (done["status"], done["latest_response"]["values"]) == ("submitted", values)
    assert done["latest_response"]["input_request_id"] == made["id"]
    assert await at_work.json("POST", f"{one}/responses", {"values": values}) == done
    await at_work.problem("POST", f"{one}/responses", 409, json={"values": {"who": "bob"}})
    await at_work.problem("POST", f"{one}/cancel", 409)
    assert (await at_work.json("GET", path, params={"status": "open"}))["data"] == []
    assert await told(at_work, key) == [("created", "open"), ("updated", "submitted")]
    run = await at_work.json("GET", path.replace("/input-requests", f"/runs/{key.run_id}"))
    assert (run["latest_event_id"], run["latest_external_event_sequence"]) == (2, 0)
    snapshot = await at_work.json("GET", path.replace("/input-requests", f"/runs/{key.run_id}/snapshot"))
    [shown] = snapshot["events"][1]["event"]["snapshot"]["inputRequestsByToolCallId"].values()
    assert (shown["toolCallId"], shown["status"]) == ("c1", "submitted")
    assert shown["latestResponse"]["values"] == {**values, "word": None}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("who", {}),
        ("who", {"who": ""}),
        ("who", {"who": 1}),
        ("who", {"who": "a"}),
        ("who", {"who": "ANN"}),
        ("age", {"who": "ann", "age": "7"}),
        ("age", {"who": "ann", "age": True}),
        ("age", {"who": "ann", "age": 100}),
        ("tea", {"who": "ann", "tea": "b"}),
        ("sure", {"who": "ann", "sure": "yes"}),
        ("mail", {"who": "ann", "mail": "nobody"}),
        ("more", {"who": "ann", "more": 1}),
        ("tea", {"who": "ann", "tea": ["a"]}),
    ],
)
async def test_a_value_that_does_not_fit_is_refused_by_name(at_work: Api, name: str, values: object) -> None:
    path, key, made = await asked(at_work)
    problem = await at_work.problem("POST", f"{path}/{made['id']}/responses", 400, json={"values": values})
    assert f"`{name}`" in problem["detail"]
    assert (await at_work.json("GET", f"{path}/{made['id']}"))["status"] == "open"
    assert await told(at_work, key) == [("created", "open")]


async def test_the_first_of_many_wins(at_work: Api) -> None:
    path, key, made = await asked(at_work)
    one = f"{path}/{made['id']}"
    answers = await asyncio.gather(
        *(at_work.client.post(f"{one}/responses", json={"values": {"who": f"ann{'n' * n}"}}) for n in range(4)),
        at_work.client.post(f"{one}/cancel"),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
    assert len(await told(at_work, key)) == 2


async def test_what_is_cancelled_stays_so(at_work: Api) -> None:
    path, key, made = await asked(at_work)
    one = f"{path}/{made['id']}"
    cancelled = await at_work.json("POST", f"{one}/cancel")
    assert (cancelled["status"], cancelled["cancelled_at"] is None) == ("cancelled", False)
    assert await at_work.json("POST", f"{one}/cancel") == cancelled
    await at_work.problem("POST", f"{one}/responses", 409, json={"values": {"who": "ann"}})
    assert await told(at_work, key) == [("created", "open"), ("updated", "cancelled")]


async def test_time_expires_it(at_work: Api) -> None:
    before = datetime(2020, 1, 1, tzinfo=UTC).isoformat()
    path, key, made = await asked(at_work, expires_at=before)
    one = f"{path}/{made['id']}"
    read = await at_work.json("GET", one)
    assert (read["status"], read["expired_at"]) == ("expired", "2020-01-01T00:00:00.000Z")
    await at_work.problem("POST", f"{one}/responses", 409, json={"values": {"who": "ann"}})
    assert await told(at_work, key) == [("created", "open"), ("updated", "expired")]
    await at_work.json("POST", path, form(key.run_id, expires_at=before))
    assert [await input_requests.expire_due(at_work.core) for _ in range(2)] == [1, 0]
    await at_work.json("POST", path, form(key.run_id, expires_at=before))
    assert (await at_work.json("GET", path, params={"status": "open"}))["data"] == []
    assert len((await at_work.json("GET", path, params={"status": "expired", "limit": 2}))["data"]) == 2


@pytest.mark.parametrize("end", ["complete", "cancel"])
async def test_the_end_of_a_run_cancels_what_it_asked(at_work: Api, end: str) -> None:
    path, key, made = await asked(at_work)
    past = await at_work.json("POST", path, form(key.run_id, tool_call_id="c2", expires_at="2020-01-01T00:00:00Z"))
    await at_work.json("POST", f"/runs/{key.run_id}/{end}", {"status": "completed"} if end == "complete" else None)
    one = f"{path}/{made['id']}"
    read = await at_work.json("GET", one)
    assert (read["status"], read["cancelled_at"] is None) == ("cancelled", False)
    assert (await at_work.json("GET", f"{path}/{past['id']}"))["expired_at"] == "2020-01-01T00:00:00.000Z"
    assert await at_work.json("POST", f"{one}/cancel") == read
    await at_work.problem("POST", f"{one}/responses", 409, json={"values": {"who": "ann"}})
    late = await at_work.problem("POST", path, 409, json=form(key.run_id))
    assert late["code"] == "run_is_terminal"
    assert await told(at_work, key) == [("created", "open")] * 2, "the terminal event is the last"
    snapshot = await at_work.json("GET", path.replace("/input-requests", f"/runs/{key.run_id}/snapshot"))
    shown = snapshot["events"][1]["event"]["snapshot"]["inputRequestsByToolCallId"]
    assert (shown["c1"]["status"], shown["c2"]["status"]) == ("cancelled", "expired")


async def test_a_run_that_waits_is_told(at_work: Api) -> None:
    path, key, made = await asked(at_work)
    await lifecycle.apply(at_work.core, key, Park(Waiting(WaitingReason.TOOL, (PendingCall("c1", "ask"),)), None))
    await at_work.json("POST", f"{path}/{made['id']}/responses", {"values": {"who": "ann"}})
    assert await told(at_work, key) == [("created", "open"), ("updated", "submitted")]
    run = await at_work.json("GET", path.replace("/input-requests", f"/runs/{key.run_id}"))
    assert (run["status"], run["latest_event_id"]) == ("waiting_for_tool", 3)


async def test_an_open_request_does_not_park_its_run(at_work: Api) -> None:
    """The client's form tool goes on to append while it asks."""
    path, key, made = await asked(at_work)
    run = path.replace("/input-requests", f"/runs/{key.run_id}")
    for call_id in ("c1", "c2"):
        answer = await at_work.json(
            "POST", f"{run}/events", {"events": [{"type": "TOOL_CALL_END", "toolCallId": call_id}]}
        )
        assert answer["run"]["status"] == "running"
    await at_work.json("POST", f"{path}/{made['id']}/cancel")


async def test_who_follows_hears_of_it_at_once(at_work: Api) -> None:
    path, key, made = await asked(at_work)
    async with asyncio.timeout(WAIT_SECONDS), aclosing(at_work.core.hub.follow(key, 0)) as rows:
        assert (await anext(rows)).events.last_event_id == 1
        await at_work.json("POST", f"{path}/{made['id']}/cancel")
        assert (await anext(rows)).events.last_event_id == 2


async def test_whatever_comes_at_once_no_request_stays_open_after_the_end(at_work: Api) -> None:
    for _ in range(6):
        path, key, made = await asked(at_work)
        one, run = f"{path}/{made['id']}", path.replace("/input-requests", f"/runs/{key.run_id}")
        answers = await asyncio.gather(
            *(at_work.client.post(path, json=form(key.run_id, tool_call_id=f"n{n}")) for n in range(4)),
            at_work.client.post(f"{one}/responses", json={"values": {"who": "ann"}}),
            *(at_work.client.post(f"{run}/events", json={"events": [{"type": "A"}]}) for _ in range(3)),
            at_work.client.post(f"/runs/{key.run_id}/complete", json={"status": "completed"}),
        )
        assert {answer.status_code for answer in answers} <= {200, 201, 400, 409}
        assert (await at_work.json("GET", path, params={"status": "open"}))["data"] == []
        log = events_of(await whole_log(at_work.core.database, key))
        assert [event_id for event_id, _ in log] == list(range(1, len(log) + 1))
        assert "RUN_FINISHED" in log[-1][1]
        created = sum(answer.status_code == 201 for answer in answers)
        assert len([entry for entry in await told(at_work, key) if entry[0] == "created"]) == created + 1


async def test_bad_input_is_refused(at_work: Api) -> None:
    path, key = await at_work.conversation_run()
    requests = path.partition("/runs/")[0] + "/input-requests"
    bodies: tuple[dict[str, Any], ...] = (
        {"fields": []},
        {"fields": FIELDS[:1] * 2},
        {"fields": FIELDS[:1] * 101},
        {"fields": [{**FIELDS[0], "pattern": "("}]},
        {"fields": [{"type": "radio", "name": "x", "label": "X"}]},
        {"title": "x" * 1_001},
        {"description": "x" * 20_001},
        {"tool_call_id": "x" * 256},
        {"kind": "party"},
        {"expires_at": "tomorrow"},
        {"expires_at": "2030-02-30T00:00:00Z"},
    )
    for wrong in bodies:
        await at_work.problem("POST", requests, 400, json=form(key.run_id, **wrong))
    await at_work.problem("POST", requests, 404, json=form("nobody"))
    await at_work.problem("GET", requests, 400, params={"status": "nonsense"})
    await at_work.problem("GET", f"{requests}/{uuid4()}", 404)
    await at_work.problem("GET", f"{requests}/nonsense", 404)
    await at_work.problem("GET", f"/conversations/{uuid4()}/input-requests", 404)
    assert (await at_work.json("GET", requests))["data"] == []


async def test_another_project_sees_nothing(at_work: Api) -> None:
    path, key, made = await asked(at_work)
    async with await stranger(at_work) as client:
        for method, more, body in (
            ("GET", "", None), ("POST", "", form(key.run_id)), ("GET", f"/{made['id']}", None),
            ("POST", f"/{made['id']}/responses", {"values": {"who": "ann"}}), ("POST", f"/{made['id']}/cancel", None),
        ):  # fmt: skip
            assert (await client.request(method, path + more, json=body)).status_code == 404
    assert await at_work.json("GET", f"{path}/{made['id']}") == made
