"""Conversations over HTTP: create, read, list, change, delete (veryfront.md 1.5)."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
from jsonschema_rs import Draft202012Validator

from perdure.http.runs.conversation_schemas import conversation_answer_schema, conversation_page_schema
from tests.http.runs_app import PROJECT, Api
from tests.store.harness import WAIT_SECONDS

ANSWER = Draft202012Validator(conversation_answer_schema(), validate_formats=True)
PAGE = Draft202012Validator(conversation_page_schema(), validate_formats=True)


async def new(at_work: Api, **body: object) -> dict[str, Any]:
    """A new conversation."""
    made: dict[str, Any] = await at_work.json("POST", "/conversations", body)
    ANSWER.validate(made)
    return made


async def stranger(at_work: Api) -> httpx.AsyncClient:
    """A client with an ordinary key of another project."""
    project = await at_work.json("POST", "/projects", {"slug": f"p{uuid4().hex[:8]}", "name": "other"})
    key = (await at_work.json("POST", f"/projects/{project['id']}/keys", {"name": "k"}))["key"]
    transport = httpx.ASGITransport(at_work.app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test", headers={"Authorization": f"Bearer {key}"})


async def test_a_conversation_is_created_and_read(at_work: Api) -> None:
    made = await new(at_work, type="project_agent", title="Tea", metadata={"b": 1, "a": [2]}, project_id=str(PROJECT))
    assert (made["type"], made["title"], made["metadata"]) == ("project_agent", "Tea", {"b": 1, "a": [2]})
    assert made["project_id"] == str(PROJECT)
    assert await at_work.json("GET", f"/conversations/{made['id']}") == made


async def test_nothing_need_be_said(at_work: Api) -> None:
    answer = await at_work.client.post("/conversations")
    assert answer.status_code == 201
    assert (answer.json()["type"], answer.json()["title"], answer.json()["metadata"]) == ("chat", None, None)
    null = await new(at_work, type=None, title=None, metadata=None, project_id=None)
    assert null["type"] == "chat"


async def test_pages_go_from_the_newest_to_the_oldest(at_work: Api) -> None:
    made = [await new(at_work, title=str(number)) for number in range(5)]
    in_order = sorted(made, key=lambda conversation: (conversation["created_at"], conversation["id"]), reverse=True)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query = {"limit": "2", **({} if cursor is None else {"cursor": cursor})}
        page = await at_work.json("GET", "/conversations", params=query)
        PAGE.validate(page)
        assert page["page_info"]["self"] == cursor
        seen += [conversation["id"] for conversation in page["data"]]
        cursor = page["page_info"]["next"]
        if cursor is None:
            break
    assert seen == [conversation["id"] for conversation in in_order]
    await at_work.problem("GET", "/conversations", 400, params={"cursor": "nonsense"})


async def test_a_change_leaves_the_rest_as_it_is(at_work: Api) -> None:
    made = await new(at_work, title="Tea", metadata={"a": 1})
    path = f"/conversations/{made['id']}"
    changed = await at_work.json("PATCH", path, {"title": "Coffee"})
    assert (changed["title"], changed["metadata"], changed["type"]) == ("Coffee", {"a": 1}, "chat")
    cleared = await at_work.json("PATCH", path, {"title": None, "metadata": {"b": 2}, "type": "support"})
    assert (cleared["title"], cleared["metadata"], cleared["type"]) == (None, {"b": 2}, "support")
    assert await at_work.json("GET", path) == cleared


async def test_a_conversation_is_linked_to_its_own_project_only(at_work: Api) -> None:
    made = await new(at_work)
    path = f"/conversations/{made['id']}"
    assert (await at_work.json("PATCH", path, {"project_id": str(PROJECT)}))["project_id"] == str(PROJECT)
    await at_work.problem("PATCH", path, 404, json={"project_id": str(uuid4())})
    other = await at_work.json("POST", "/projects", {"slug": "other", "name": "other"})
    await at_work.problem("PATCH", path, 409, json={"project_id": other["id"]})


async def test_bad_input_is_refused(at_work: Api) -> None:
    bodies: tuple[object, ...] = (
        {"type": "party"},
        {"title": 1},
        {"metadata": []},
        {"nonsense": 1},
        {"project_id": "x"},
        [],
    )
    for body in bodies:
        await at_work.problem("POST", "/conversations", 400, json=body)
    await at_work.problem("POST", "/conversations", 404, json={"project_id": str(uuid4())})
    await at_work.problem("GET", "/conversations/nonsense", 404)
    await at_work.problem("GET", f"/conversations/{uuid4()}", 404)
    await at_work.problem("PATCH", f"/conversations/{uuid4()}", 404, json={})
    await at_work.problem("DELETE", f"/conversations/{uuid4()}", 404)
    assert (await at_work.json("GET", "/conversations"))["data"] == []


async def test_another_project_sees_nothing(at_work: Api) -> None:
    path = f"/conversations/{(await new(at_work))['id']}"
    async with await stranger(at_work) as client:
        assert (await client.get("/conversations")).json()["data"] == []
        for method, more, body in (
            ("GET", "", None), ("PATCH", "", {"title": "x"}), ("DELETE", "", None), ("GET", "/messages", None),
            ("POST", "/messages", {"role": "user", "parts": []}),
        ):  # fmt: skip
            assert (await client.request(method, path + more, json=body)).status_code == 404
    assert (await at_work.json("GET", path))["title"] is None


async def test_a_deleted_conversation_takes_everything_with_it(at_work: Api, database: str) -> None:
    path, key = await at_work.conversation_run()
    conversation = path.partition("/runs/")[0]
    await at_work.json("POST", f"{path}/events", {"events": [{"type": "CUSTOM", "name": "a", "value": 1}]})
    await at_work.json("POST", f"{conversation}/messages", {"role": "user", "parts": [{"type": "text", "text": "hi"}]})
    child = await at_work.create(parent_run_id=key.run_id)
    assert (await at_work.client.delete(conversation)).status_code == 204

    await at_work.problem("GET", conversation, 404)
    await at_work.problem("GET", path, 404)
    await at_work.problem("GET", f"/runs/{key.run_id}", 404)
    await at_work.problem("POST", f"{path}/events", 404, json={"events": [{"type": "CUSTOM"}]})
    ended = await at_work.json("GET", f"/runs/{child['run']['run_id']}")
    assert ended["status"] == "cancelled", "it lives in a conversation of its own"
    connection = await asyncpg.connect(database)
    try:
        for table in ("runs", "run_head", "run_events", "run_queue"):
            assert await connection.fetchval(f"SELECT count(*) FROM {table} WHERE run_id = $1", key.run_id) == 0
        left = await connection.fetchval("SELECT count(*) FROM messages WHERE conversation_id::text = $1", conversation)
        assert left == 0
    finally:
        await connection.close()


async def test_the_run_of_a_conversation_made_anew_is_not_taken_for_the_old_one(at_work: Api) -> None:
    events = {"events": [{"type": "CUSTOM", "name": "a", "value": 1}]}
    body = {"public_id": "again", "conversation_id": str(uuid4())}
    shown = []
    for _ in range(2):
        made = await at_work.json("POST", "/runs", {**(await _run_body()), **body})
        path = f"/conversations/{body['conversation_id']}"
        appended = await at_work.json("POST", f"{path}/runs/again/events", events)
        assert appended["run"]["message_id"] == made["message_id"]
        shown.append(made["message_id"])
        assert (await at_work.client.delete(path)).status_code == 204
    assert shown[0] != shown[1]


async def _run_body() -> dict[str, Any]:
    return {
        "kind": "agent",
        "owner": {"kind": "project", "id": str(PROJECT)},
        "conversation_mode": "create_new",
        "request": {"mode": "agent", "agent_id": "writer", "initial_status": "running"},
    }


async def test_deleting_ends_the_streams_and_stands_up_to_busy_writers(at_work: Api) -> None:
    paths = []
    conversation = str(uuid4())
    await at_work.json("POST", "/runs", {**(await _run_body()), "public_id": "r0", "conversation_id": conversation})
    for number in range(1, 4):
        body = {**(await _run_body()), "public_id": f"r{number}", "conversation_id": conversation}
        await at_work.json("POST", "/runs", {**body, "conversation_mode": "existing"})
        paths.append(f"/conversations/{conversation}/runs/r{number}")

    async def write(path: str) -> int:
        while True:
            answer = await at_work.client.post(f"{path}/events", json={"events": [{"type": "CUSTOM", "name": "n"}]})
            assert answer.status_code in (200, 400, 404), answer.text
            if answer.status_code == 404:
                return answer.status_code

    async with asyncio.timeout(WAIT_SECONDS):
        stream = asyncio.create_task(at_work.client.get(f"{paths[0]}/stream"))
        writers = [asyncio.create_task(write(path)) for path in paths]
        assert (await at_work.client.delete(f"/conversations/{conversation}")).status_code == 204
        assert await asyncio.gather(*writers) == [404, 404, 404]
        assert (await stream).status_code in (200, 404)


async def test_a_run_goes_into_a_conversation_that_was_made_before(at_work: Api) -> None:
    made = await new(at_work)
    body = {**(await _run_body()), "conversation_mode": "existing", "conversation_id": made["id"]}
    assert (await at_work.json("POST", "/runs", body))["conversation_id"] == made["id"]
