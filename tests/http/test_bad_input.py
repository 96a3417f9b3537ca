"""Bad input gets a clear 4xx problem, and changes nothing."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from perdure.domain.event import MAX_EVENT_BYTES
from perdure.http.runs.events_routes import MAX_APPEND_BYTES
from tests.http.runs_app import PROJECT, Api, agent_run
from tests.store.harness import whole_log

EVENT = {"type": "CUSTOM", "name": "n", "value": 1}


def deep(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def events(*texts: bytes) -> bytes:
    return b'{"events":[' + b",".join(texts) + b"]}"


def of_size(size: int) -> bytes:
    empty = len(b'{"type":"CUSTOM","value":""}')
    return b'{"type":"CUSTOM","value":"' + b"x" * (size - empty) + b'"}'


async def test_appends(at_work: Api) -> None:
    path, key = await at_work.conversation_run()
    await at_work.json("POST", f"{path}/events", {"events": [EVENT]})
    before = await at_work.json("GET", path)
    cases: list[tuple[str, bytes, int, str]] = [
        ("empty", b"", 400, "not JSON"),
        ("not JSON", b"{", 400, "not JSON"),
        ("not an object", b"[]", 400, "object"),
        ("not UTF-8", events(b'{"type":"CUSTOM","value":"\xff"}'), 400, "UTF-8"),
        ("not UTF-8 outside", b'{"\xff":1,"events":[{"type":"X"}]}', 400, ""),
        ("no events", b"{}", 400, "events"),
        ("events are no list", b'{"events":{}}', 400, "events"),
        ("no event", events(), 400, "1 to 100"),
        ("101 events", events(*[b'{"type":"CUSTOM"}'] * 101), 400, "101"),
        ("an event of 256 KB", events(of_size(MAX_EVENT_BYTES)), 400, "payload must be less than 256 KB"),
        ("an event of 300 KB", events(of_size(300_000)), 400, "payload must be less than 256 KB"),
        ("no object", events(b"1"), 400, "/events/0"),
        ("null", events(b"null"), 400, "/events/0"),
        ("no type", events(b'{"type":"CUSTOM"}', b'{"name":"x"}'), 400, "/events/1"),
        ("an empty type", events(b'{"type":""}'), 400, "/events/0/type"),
        ("a type that is no string", events(b'{"type":7}'), 400, "/events/0"),
        ("a long type", events(b'{"type":"' + b"X" * 129 + b'"}'), 400, "/events/0/type"),
        ("a line break in a type", events(b'{"type":"A\\nid: 99"}'), 400, "/events/0/type"),
        ("a terminal type", events(b'{"type":"CUSTOM"}', b'{"type":"RUN_FINISHED"}'), 400, "/events/1/type"),
        ("the other terminal type", events(b'{"type":"RUN_ERROR","message":"m"}'), 400, "/events/0/type"),
        ("a NUL", events(b'{"type":"CUSTOM","value":{"a/b":["\\u0000"]}}'), 400, "/events/0/value/a~1b/0"),
        ("a NUL in a name", events(b'{"type":"CUSTOM","\\u0000":1}'), 400, "NUL"),
        ("a lone surrogate", events(b'{"type":"CUSTOM","value":"\\ud800 and more"}'), 400, "surrogate"),
        ("deep nesting", events(b'{"type":"CUSTOM","value":' + deep(200) + b"}"), 400, "nested"),
        ("very deep nesting", events(b'{"type":"CUSTOM","value":' + deep(100_000) + b"}"), 400, ""),
        ("a deep body", deep(300_000), 400, ""),
        ("a cursor ahead", b'{"events":[{"type":"X"}],"expected_previous_event_id":9}', 400, "cursor mismatch"),
        ("a negative cursor", b'{"events":[{"type":"X"}],"expected_previous_event_id":-1}', 400, "integer"),
        ("a cursor that is text", b'{"events":[{"type":"X"}],"expected_previous_event_id":"0"}', 400, "int"),
        ("a fractional cursor", b'{"events":[{"type":"X"}],"expected_previous_event_id":0.5}', 400, "int"),
        ("a huge cursor", b'{"events":[{"type":"X"}],"expected_previous_event_id":1' + b"0" * 30 + b"}", 400, ""),
        ("a number out of range", events(b'{"type":"CUSTOM","value":1e999}'), 400, "out of range"),
        ("a number with 5,000 digits", events(b'{"type":"CUSTOM","value":' + b"1" * 5_000 + b"}"), 400, "out of range"),
        ("more than 10 MB", b" " * (MAX_APPEND_BYTES + 1), 413, "10 MB"),
    ]
    for name, body, status, words in cases:
        problem = await at_work.problem("POST", f"{path}/events", status, content=body)
        assert words.lower() in (problem["detail"] + str(problem.get("pointer"))).lower(), (name, problem)
    assert await at_work.json("GET", path) == before
    assert len(await whole_log(at_work.core.database, key)) == 1


async def test_an_event_just_below_the_limit_and_100_events_are_fine(at_work: Api) -> None:
    path, _ = await at_work.conversation_run()
    for body in (events(of_size(MAX_EVENT_BYTES - 1)), events(*[b'{"type":"X"}'] * 100)):
        assert (await at_work.client.post(f"{path}/events", content=body)).status_code == 200


def changed(**members: Any) -> dict[str, Any]:
    return {**agent_run(), **members}


def requested(**members: Any) -> dict[str, Any]:
    return agent_run(**members)


CONTEXT = {"project_id": None, "branch_id": None}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (changed(kind="dance"), "/kind"),
        (changed(kind=7), "/kind"),
        (changed(owner={"kind": "project"}), "/owner/id"),
        (changed(owner={"kind": "project", "id": "me"}), "/owner/id"),
        (changed(public_id=""), "/public_id"),
        (changed(public_id="x" * 129), "/public_id"),
        (changed(unknown=1), "/unknown"),
        (changed(request=[]), "/request"),
        (requested(agent_id=5), "/request/agent_id"),
        (requested(initial_status="completed"), "/request/initial_status"),
        (requested(surprise=True), "/request/surprise"),
        (requested(input={"messages": "hi", "context": CONTEXT}), "/request/input/messages"),
        (requested(input={"messages": [{"content": "hi"}], "context": CONTEXT}), "/request/input/messages/0/role"),
        (
            requested(input={"messages": [{"role": "user", "parts": [{"type": "tango"}]}], "context": CONTEXT}),
            "/request/input/messages/0/parts/0/type",
        ),
        ({**changed(conversation_mode="existing"), "conversation_id": None}, "/conversation_id"),
        (
            {key: value for key, value in changed(conversation_mode="existing").items() if key != "conversation_id"},
            "/conversation_id",
        ),
        (
            requested(
                public_id="one",
                input={
                    "messages": [],
                    "context": CONTEXT,
                    "durable_root_run": {"run_id": "two", "message_id": str(PROJECT)},
                },
            ),
            "/request/input/durable_root_run/run_id",
        ),
    ],
)
async def test_creates_that_do_not_fit(at_work: Api, body: dict[str, Any], pointer: str) -> None:
    problem = await at_work.problem("POST", "/runs", 400, json=body)
    assert problem["pointer"] == pointer
    assert problem["code"] == "invalid_request"
    assert (await at_work.json("GET", "/runs"))["data"] == []


async def test_creates_that_cannot_be_read(at_work: Api) -> None:
    good = msgspec.json.encode(agent_run())
    cases: list[tuple[bytes, int]] = [
        (b"", 400),
        (b"nonsense", 400),
        (b"null", 400),
        (deep(200), 400),
        (deep(100_000), 400),
        (good.replace(b'"writer"', b'"\\u0000"'), 400),
        (good.replace(b'"writer"', b'"\\udc00"'), 400),
        (good.replace(b'"writer"', b'"\xff"'), 400),
        (good + b" " * (16 * 1024 * 1024), 413),
    ]
    for body, status in cases:
        await at_work.problem("POST", "/runs", status, content=body)
    large = agent_run(input={"messages": [{"role": "user", "content": "x" * 2 * 1024 * 1024}], "context": CONTEXT})
    problem = await at_work.problem("POST", "/runs", 413, json=large)
    assert problem["detail"] == "Agent run request snapshot payload must be less than 2 MB"
    for key in ("", "x" * 256, "schlüssel", "a\tb"):
        headers = {"Idempotency-Key": key.encode()}
        assert (
            "Idempotency-Key"
            in (await at_work.problem("POST", "/runs", 400, json=agent_run(), headers=headers))["detail"]
        )
    assert (await at_work.json("GET", "/runs"))["data"] == []


async def test_control(at_work: Api) -> None:
    _, key = await at_work.conversation_run()
    run = f"/runs/{key.run_id}"
    before = await at_work.json("GET", run)
    cases: list[tuple[str, bytes, int, str | None]] = [
        ("cancel", b"[]", 400, ""),
        ("cancel", b'{"reason":""}', 400, "/reason"),
        ("cancel", b'{"because":"x"}', 400, "/because"),
        ("cancel", b"{", 400, None),
        ("complete", b"", 400, None),
        ("complete", b"{}", 400, "/status"),
        ("complete", b'{"status":"done"}', 400, "/status"),
        ("complete", b'{"status":"running"}', 400, "/status"),
        ("complete", b'{"status":"completed","metadata":[]}', 400, "/metadata"),
        ("complete", b'{"status":"failed","terminal_error_code":7}', 400, "/terminal_error_code"),
        ("complete", b'{"status":"failed","terminal_error_message":"\\u0000"}', 400, "/terminal_error_message"),
        ("complete", b'{"status":"failed","terminal_error_message":"' + b"x" * 250_000 + b'"}', 413, None),
        ("resume", b'{"type":"tool_result","tool_call_id":"c"}', 400, "/result"),
        ("resume", b'{"type":"tool_result","tool_call_id":"","result":1}', 400, "/tool_call_id"),
        ("resume", b'{"type":"shrug","tool_call_id":"c","result":1}', 400, "/type"),
        ("resume", b'{"tool_call_id":"c","result":1}', 400, "/type"),
        ("resume", b'{"type":"approval","tool_call_id":"c","approved":"yes"}', 400, "/approved"),
        ("resume", b'{"type":"tool_result","tool_call_id":"c","result":"' + b"x" * 65_535 + b'"}', 400, "/result"),
        ("resume", b" " * (1024 * 1024 + 1), 413, None),
        ("restart", b'{"fresh":1}', 400, "/fresh"),
        ("signals/go", b"{", 400, None),
        ("signals/go", deep(200), 400, None),
        ("signals/go", b'"\\u0000"', 400, ""),
        ("signals/go", b'"' + b"x" * 65_536 + b'"', 413, None),
        ("signals/-", b"", 400, None),
        ("signals/a%20b", b"", 400, None),
        ("signals/" + "x" * 129, b"", 400, None),
        ("signals/%00", b"", 400, None),
    ]
    for route, body, status, pointer in cases:
        problem = await at_work.problem("POST", f"{run}/{route}", status, content=body)
        assert problem.get("pointer") == pointer, (route, problem)
    assert await at_work.json("GET", run) == before
    assert await whole_log(at_work.core.database, key) == []


async def test_queries_and_cursors(at_work: Api) -> None:
    path, key = await at_work.conversation_run()
    run = f"/runs/{key.run_id}"
    await at_work.json("POST", f"{path}/events", {"events": [EVENT]})
    for url in (
        f"{run}/events?after_event_id=2", f"{run}/events?after_event_id=-1", f"{run}/events?after_event_id=x",
        f"{run}/events?after_event_id=", f"{run}/events?limit=0", f"{run}/events?limit=501", f"{run}/events?limit=1e2",
        f"{path}/events?after_event_id=2", f"{path}/events?limit=%20",
        f"{run}/stream?after=2", f"{run}/stream?after=-1", f"{run}/stream?after=x",
        f"{path}/stream?after=99999999999999999999",
        "/runs?kind=dance", "/runs?status=sleeping", "/runs?status=running,sleeping", "/runs?limit=201",
        "/runs?limit=0",
        "/runs?since=yesterday", "/runs?until=2024-13-01", "/runs?cursor=x", "/runs?cursor=%ff", "/runs?agent_id=%00",
        "/runs?tag=a%00", "/runs?cursor=WyIyMDI0IiwiYSJd", "/runs?cursor=bnVsbA", "/runs?cursor=äö",
    ):  # fmt: skip
        problem = await at_work.problem("GET", url, 400)
        assert problem["code"] == "invalid_request", url
    for value in ("2", "x", "-1", "1.0"):
        await at_work.problem("GET", f"{run}/stream", 400, headers={"Last-Event-ID": value})
    ahead = await at_work.problem("GET", f"{run}/stream?after=2", 400)
    assert "ahead of the log" in ahead["detail"]


async def test_names_that_nothing_can_have(at_work: Api) -> None:
    for run_id in ("nothing", "%00", "%ff", "x" * 129, "%F0%9F%A6%A5", "..%2F..", "a%2Fb", "%ED%A0%80"):
        assert (await at_work.problem("GET", f"/runs/{run_id}", 404))["code"] == "run_not_found"
        assert (await at_work.problem("POST", f"/runs/{run_id}/cancel", 404))["code"] == "run_not_found"
    path, _ = await at_work.conversation_run()
    for conversation in ("x", "%00", str(PROJECT)):
        await at_work.problem("GET", f"/conversations/{conversation}/runs/{path.rsplit('/', 1)[1]}", 404)


async def test_every_string_can_be_a_run_id(at_work: Api) -> None:
    for run_id in ("a/b", "a b", "ä", "%2F", "a%2Fb/c", "🦥", "a\nb", ".", 'x"y', "x" * 128):
        made = await at_work.create(public_id=run_id)
        quoted = "".join(f"%{byte:02X}" for byte in run_id.encode())
        assert (await at_work.json("GET", f"/runs/{quoted}"))["run_id"] == run_id
        path = f"/conversations/{made['conversation_id']}/runs/{quoted}"
        assert (await at_work.json("POST", f"{path}/events", {"events": [EVENT]}))["appended_count"] == 1
        assert json.loads(json.dumps(await at_work.json("GET", path)))["run_id"] == run_id
