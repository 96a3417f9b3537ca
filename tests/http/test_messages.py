"""The messages of a conversation over HTTP (veryfront.md 1.5)."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from jsonschema_rs import Draft202012Validator

from perdure.domain.event import Append, custom, segment_of
from perdure.domain.run import Finish, Status
from perdure.http.runs.conversation_schemas import message_answer_schema, message_page_schema
from perdure.services import lifecycle
from tests.http.runs_app import PROJECT, Api

ANSWER = Draft202012Validator(message_answer_schema(), validate_formats=True)
PAGE = Draft202012Validator(message_page_schema(), validate_formats=True)


async def messages_of_a_new_conversation(at_work: Api) -> str:
    """The path of a new conversation's messages."""
    return f"/conversations/{(await at_work.json('POST', '/conversations', {}))['id']}/messages"


def said(text: str, **more: object) -> dict[str, Any]:
    """The body of a user's message."""
    return {"role": "user", "parts": [{"type": "text", "text": text}], **more}


async def test_a_message_is_added_and_listed(at_work: Api) -> None:
    path = await messages_of_a_new_conversation(at_work)
    parent = str(uuid4())
    made = await at_work.json("POST", path, said("hi", metadata={"z": 1, "a": 2}, parent_id=parent))
    ANSWER.validate(made)
    assert (made["role"], made["parts"], made["status"]) == ("user", [{"type": "text", "text": "hi"}], "completed")
    assert (made["parent_id"], made["metadata"], made["run_id"]) == (parent, {"z": 1, "a": 2}, None)
    page = await at_work.json("GET", path)
    PAGE.validate(page)
    assert page["data"] == [made]
    assert page["page_info"] == {"self": None, "first": None, "next": None, "prev": None}


async def test_every_sort_of_part_is_kept(at_work: Api) -> None:
    path = await messages_of_a_new_conversation(at_work)
    parts = [
        {"type": "text", "text": "look"},
        {"type": "image", "url": "https://example.com/a.png"},
        {"type": "file", "upload_id": "u1", "filename": "a.pdf", "media_type": "application/pdf"},
        {"type": "tool_call", "id": "c1", "name": "t", "input": {"a": 1}, "state": "completed"},
        {"type": "tool_result", "tool_call_id": "c1", "output": [1], "is_error": False},
        {"type": "reasoning", "text": "hm", "signature": "s", "redactedData": "r"},
        {"type": "citation", "source_id": "s1", "title": "T", "url": "https://example.com"},
        {"type": "source_document", "source_id": "d1"},
        {"type": "step_start"},
        {"type": "error", "message": "no"},
        {"type": "data", "name": "chart", "value": {"b": 2}},
    ]
    made = await at_work.json("POST", path, {"role": "assistant", "parts": parts})
    assert made["parts"] == parts


async def test_pages_lead_from_the_newest_to_older_ones(at_work: Api) -> None:
    path = await messages_of_a_new_conversation(at_work)
    for number in range(5):
        await at_work.json("POST", path, said(str(number)))
    pages: list[list[str]] = []
    cursor: str | None = None
    while True:
        page = await at_work.json("GET", path, params={"limit": 2, **({} if cursor is None else {"cursor": cursor})})
        PAGE.validate(page)
        assert page["page_info"]["self"] == cursor
        pages.append([message["parts"][0]["text"] for message in page["data"]])
        cursor = page["page_info"]["next"]
        if cursor is None:
            break
    assert pages == [["3", "4"], ["1", "2"], ["0"]]


async def test_an_idempotency_key_adds_one_message(at_work: Api) -> None:
    path = await messages_of_a_new_conversation(at_work)
    body = said("hi", idempotency_key="k", metadata={"a": 1, "b": 2})
    answers = await asyncio.gather(*(at_work.client.post(path, json=body) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    other_order = {**body, "metadata": {"b": 2, "a": 1}}
    assert (await at_work.client.post(path, json=other_order)).status_code == 200
    problem = await at_work.problem("POST", path, 409, json=said("bye", idempotency_key="k"))
    assert problem["code"] == "idempotency_key_reused"
    elsewhere = await messages_of_a_new_conversation(at_work)
    assert (await at_work.client.post(elsewhere, json=body)).status_code == 201
    assert len((await at_work.json("GET", path))["data"]) == 1


async def test_bad_input_is_refused_with_its_place(at_work: Api) -> None:
    path = await messages_of_a_new_conversation(at_work)
    for body, pointer in (
        ({"role": "user", "parts": [{"type": "text"}]}, "/parts/0/text"),
        ({"role": "user", "parts": [{"type": "tool_call", "id": "", "name": "n"}]}, "/parts/0/id"),
        ({"role": "user", "parts": [{"type": "nonsense"}]}, "/parts/0/type"),
        ({"role": "boss", "parts": []}, "/role"),
        ({"role": "user"}, "/parts"),
        ({**said("x"), "parent_id": "x"}, "/parent_id"),
        ({**said("x"), "idempotency_key": ""}, "/idempotency_key"),
    ):
        assert (await at_work.problem("POST", path, 400, json=body))["pointer"] == pointer
    await at_work.problem("POST", f"/conversations/{uuid4()}/messages", 404, json=said("x"))
    await at_work.problem("GET", f"/conversations/{uuid4()}/messages", 404)
    await at_work.problem("GET", path, 400, params={"limit": "0"})
    await at_work.problem("GET", path, 400, params={"cursor": "x"})
    assert (await at_work.json("GET", path))["data"] == []


# --- what runs say ---------------------------------------------------------------------------------------------------

EVENTS: list[dict[str, Any]] = [
    {"type": "REASONING_MESSAGE_START", "messageId": "t"},
    {"type": "REASONING_MESSAGE_CONTENT", "messageId": "t", "delta": "hm"},
    {"type": "TEXT_MESSAGE_START", "messageId": "m", "contentId": "c", "role": "assistant"},
    {"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "contentId": "c", "delta": "Hel"},
    {"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "contentId": "c", "delta": "lo"},
    {"type": "TOOL_CALL_START", "toolCallId": "x", "toolCallName": "look"},
    {"type": "TOOL_CALL_ARGS", "toolCallId": "x", "delta": '{"a":1}'},
    {"type": "TOOL_CALL_END", "toolCallId": "x"},
    {"type": "TOOL_CALL_RESULT", "messageId": "m:tool:x", "toolCallId": "x", "content": "found", "role": "tool"},
]
PARTS: list[dict[str, Any]] = [
    {"type": "reasoning", "text": "hm"},
    {"type": "text", "text": "Hello"},
    {"type": "tool_call", "id": "x", "name": "look", "input": {"a": 1}, "state": "completed"},
    {"type": "tool_result", "tool_call_id": "x", "output": "found", "is_error": False},
]


async def only_message(at_work: Api, path: str) -> dict[str, Any]:
    """The one message of the conversation in which the run with this path is."""
    page = await at_work.json("GET", path.partition("/runs/")[0] + "/messages")
    PAGE.validate(page)
    (message,) = page["data"]
    return dict(message)


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
async def test_a_run_that_has_ended_has_a_message_with_what_it_said(at_work: Api, status: str) -> None:
    path, key = await at_work.conversation_run()
    projection = await at_work.json("GET", path)
    first = await only_message(at_work, path)
    assert (first["id"], first["role"], first["status"]) == (projection["message_id"], "assistant", "streaming")
    await at_work.json("POST", f"{path}/events", {"events": EVENTS})
    assert (await only_message(at_work, path))["status"] == "streaming"
    await at_work.json("POST", f"/runs/{key.run_id}/complete", {"status": status})
    for _ in range(2):
        message = await only_message(at_work, path)
        assert (message["id"], message["status"], message["parts"]) == (first["id"], status, PARTS)
        assert (message["run_id"], message["metadata"]) == (key.run_id, None)


async def test_the_message_of_an_engines_run(at_work: Api) -> None:
    made = await at_work.json("POST", "/runs", engine_run())
    messages = f"/conversations/{made['conversation_id']}/messages"
    (pending,) = (await at_work.json("GET", messages))["data"]
    assert pending["status"] == "streaming"
    (taken,) = await lifecycle.claim(at_work.core, "worker-1", ["agent:echo"], 1, 60)
    lines = [event for event in EVENTS if event["type"].startswith("TEXT")]
    secret = segment_of([{"type": "perdure.step", "key": "k", "value": 1}], public=False)
    await at_work.core.appender.append(Append(taken.key, (segment_of(lines), secret), fence=taken.fence))
    (running,) = (await at_work.json("GET", messages))["data"]
    assert (running["status"], running["parts"]) == ("streaming", [])
    await lifecycle.apply(at_work.core, taken.key, Finish(Status.COMPLETED, fence=taken.fence))
    (ended,) = (await at_work.json("GET", messages))["data"]
    assert (ended["id"], ended["status"], ended["parts"]) == (made["message_id"], "completed", [PARTS[1]])


async def test_a_restarted_run_says_what_its_last_attempt_said(at_work: Api) -> None:
    made = await at_work.json("POST", "/runs", engine_run())
    path = f"/conversations/{made['conversation_id']}/runs/{made['run']['run_id']}"
    texts = [event for event in EVENTS if event["type"].startswith("TEXT")]
    lost = custom("perdure.message.superseded", {"messageId": "m", "reason": "restarted"})
    again = [{**event, "messageId": "m2"} for event in texts]
    for events, expected in ((texts, [PARTS[1]]), ([lost], []), (again, [PARTS[1]])):
        (taken,) = await lifecycle.claim(at_work.core, "worker-1", ["agent:echo"], 1, 60)
        assert (await only_message(at_work, path))["status"] == "streaming"
        await at_work.core.appender.append(Append(taken.key, (segment_of(events),), fence=taken.fence))
        await lifecycle.apply(at_work.core, taken.key, Finish(Status.COMPLETED, fence=taken.fence))
        ended = await only_message(at_work, path)
        assert (ended["status"], ended["parts"]) == ("completed", expected)
        await at_work.json("POST", f"/runs/{taken.key.run_id}/restart")


def engine_run() -> dict[str, Any]:
    """The body of POST /runs for a run that an engine executes."""
    said_before = [{"role": "user", "content": "hi"}]
    context = {"project_id": None, "branch_id": None}
    request = {"mode": "agent", "agent_id": "echo", "input": {"messages": said_before, "context": context}}
    return {"kind": "agent", "owner": {"kind": "project", "id": str(PROJECT)}, "request": request}
