"""The messages of a conversation over HTTP (veryfront.md 1.5)."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

from jsonschema_rs import Draft202012Validator

from perdure.http.runs.conversation_schemas import message_answer_schema, message_page_schema
from tests.http.runs_app import Api

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
