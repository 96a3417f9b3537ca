"""Webhooks over HTTP: kept by their project, and signed deliveries that start one run each."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import httpx
import pytest_asyncio

from tests.http.runs_app import ADMIN_KEY, Api, api
from tests.store.harness import START_MS, ManualClock

WEBHOOKS = "/projects/default/webhooks"
TASK = {"target": {"kind": "task", "id": "tidy"}}


def signed(
    made: dict[str, Any], body: bytes, *, sent_id: str = "msg_1", at_ms: int = START_MS, secret: str | None = None
) -> dict[str, str]:
    """The headers of a delivery (Standard Webhooks)."""
    key = base64.b64decode((secret or made["secret"]).removeprefix("whsec_"))
    timestamp = str(at_ms // 1000)
    signature = hmac.new(key, f"{sent_id}.{timestamp}.".encode() + body, "sha256").digest()
    return {
        "webhook-id": sent_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }


def from_github(made: dict[str, Any], body: bytes, **headers: str) -> dict[str, str]:
    """The headers of a delivery of GitHub's."""
    signature = hmac.new(made["secret"].encode(), body, hashlib.sha256).hexdigest()
    return {"X-Hub-Signature-256": f"sha256={signature}", **headers}


@dataclass
class Hooks:
    """An application, its clock, and a sender, which has no key."""

    api: Api
    clock: ManualClock
    sender: httpx.AsyncClient

    async def create(self, **more: object) -> dict[str, Any]:
        made: dict[str, Any] = await self.api.json("POST", WEBHOOKS, {"name": "hook", "template": TASK, **more})
        return made

    async def send(
        self, made: dict[str, Any], payload: object, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        if headers is None:
            headers = signed(made, body, at_ms=self.clock.now)
        return await self.sender.post(made["path"], content=body, headers=headers)

    async def accepted(self, made: dict[str, Any], payload: object, **more: Any) -> dict[str, Any]:
        answer = await self.send(made, payload, **more)
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def refused(self, made: dict[str, Any], payload: object, status: int, **more: Any) -> dict[str, Any]:
        answer = await self.send(made, payload, **more)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def runs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.api.json("GET", "/runs"))["data"]
        return found


@pytest_asyncio.fixture
async def hooks(database: str) -> AsyncIterator[Hooks]:
    clock = ManualClock()
    async with api(database) as running:
        running.core = replace(running.core, clock=clock)
        running.app.state.core = running.core
        transport = httpx.ASGITransport(running.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as sender:
            yield Hooks(running, clock, sender)


async def test_create_read_list_change_delete(hooks: Hooks) -> None:
    at_work = hooks.api
    answer = await at_work.client.post(WEBHOOKS, json={"name": "hook", "template": {**TASK, "timeout_seconds": 60.0}})
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    made = answer.json()
    secret = made.pop("secret")
    assert (made["status"], made["signature"], made["filter"], made["path"]) == (
        "active", "standard", [], f"/webhooks/{made['id']}",
    )  # fmt: skip
    assert made["template"] == {**TASK, "input": None, "config": None, "messages": [], "timeout_seconds": 60}
    url = f"{WEBHOOKS}/{made['id']}"
    assert await at_work.json("GET", url) == made
    hooks.clock.now += 1  # the list is in the order of time
    conditions = [{"path": "event", "in": ["push"]}, {"path": "payload.x", "equals": None}]
    other = await hooks.create(signature="github", filter=conditions, secret="a secret-of-16-chars".replace(" ", "-"))
    assert (other["filter"], other.pop("secret")) == (conditions, "a-secret-of-16-chars")
    assert await at_work.json("GET", WEBHOOKS) == {"webhooks": [made, other]}

    changed = await at_work.json("PATCH", url, {"name": "renamed", "status": "paused", "filter": conditions})
    assert (changed["name"], changed["status"], changed["filter"]) == ("renamed", "paused", conditions)
    assert (changed["template"], "secret" in changed) == (made["template"], False)
    rotated = await at_work.json("PATCH", url, {"rotate_secret": True})
    assert rotated["secret"] != secret
    assert (await at_work.client.delete(url)).status_code == 204
    assert (await at_work.problem("GET", url, 404))["code"] == "webhook_not_found"
    await at_work.problem("DELETE", url, 404)
    await at_work.problem("GET", f"{url}/runs", 404)


async def test_what_is_refused(hooks: Hooks) -> None:
    at_work, made = hooks.api, await hooks.create()
    agent = {"kind": "agent", "id": "echo"}
    for wrong, pointer in (
        ({"name": ""}, "/name"), ({"other": 1}, "/other"), ({"status": "deleting"}, "/status"),
        ({"secret": "x" * 20}, "/secret"),
        ({"template": {}}, "/template/target"),
        ({"template": {**TASK, "messages": [{"role": "user", "content": ""}]}}, "/template"),
        ({"template": {"target": {**agent, "conversation_mode": "existing"}}}, "/template/target/conversation_id"),
        ({"template": {"target": agent, "messages": [{"role": "tool", "content": ""}]}}, "/template/messages/0/role"),
        ({"template": {**TASK, "input": {"x": "{{ nothing }}"}}}, "/template/input/x"),
        ({"filter": [{"path": "payload.x", "equals": []}]}, "/filter/0/equals"),
        ({"filter": [{"path": "payload.x"}]}, "/filter/0"),
        ({"secret": made["secret"], "rotate_secret": True}, "/rotate_secret"),
    ):  # fmt: skip
        problem = await at_work.problem("PATCH", f"{WEBHOOKS}/{made['id']}", 400, json=wrong)
        assert problem.get("pointer", "").startswith(pointer), problem
    await at_work.problem("PATCH", f"{WEBHOOKS}/{made['id']}", 400, json={"signature": "github"})
    await at_work.problem("GET", f"{WEBHOOKS}/nonsense", 404)
    del made["secret"]
    assert await at_work.json("GET", f"{WEBHOOKS}/{made['id']}") == made


async def test_another_projects_webhook_is_not_there(hooks: Hooks) -> None:
    at_work, made = hooks.api, await hooks.create()
    await at_work.json("POST", "/projects", {"slug": "other"})
    key = (await at_work.json("POST", "/projects/other/keys", {"name": "theirs"}))["key"]
    theirs = {"Authorization": f"Bearer {key}"}
    for ref in ("default", "other"):
        url = f"/projects/{ref}/webhooks/{made['id']}"
        await at_work.problem("GET", url, 404, headers=theirs)
        await at_work.problem("PATCH", url, 404, headers=theirs, json={"status": "paused"})
        await at_work.problem("DELETE", url, 404, headers=theirs)
        await at_work.problem("GET", f"{url}/runs", 404, headers=theirs)
    reader = {"Authorization": f"Bearer {await at_work.new_key(scopes=['runs:read'])}"}
    await at_work.problem("DELETE", f"{WEBHOOKS}/{made['id']}", 403, headers=reader)
    await at_work.problem("POST", WEBHOOKS, 403, headers=reader, json={"name": "hook", "template": TASK})
    assert (await hooks.accepted(made, {}))["accepted"]


async def test_a_delivery_starts_a_run(hooks: Hooks) -> None:
    template = {
        **TASK,
        "input": {"title": "#{{ payload.number }}: {{ payload.title }}", "labels": "{{ payload.labels }}", "fixed": 1},
        "config": {"dry": "{{ payload.draft }}"},
        "timeout_seconds": 60,
    }
    made = await hooks.create(template=template)
    payload = {"number": 7, "title": 'It\'s "broken" {{ payload.number }}', "labels": ["a", "b"], "draft": True}
    answer = await hooks.accepted(made, payload)
    assert {**answer, "run_id": ""} == {
        "accepted": True, "duplicate": False, "webhook_event_id": "msg_1", "run_id": "",
    }  # fmt: skip
    run = await hooks.api.json("GET", f"/runs/{answer['run_id']}")
    assert (run["kind"], run["target"], run["status"]) == ("task", "task:tidy", "pending")
    assert (run["trigger_kind"], run["trigger_id"], run["schedule_id"]) == ("webhook", made["id"], None)
    assert (run["input"], run["config"], run["timeout_seconds"]) == (
        {"title": f"#7: {payload['title']}", "labels": ["a", "b"], "fixed": 1}, {"dry": True}, 60,
    )  # fmt: skip
    assert await hooks.api.json("GET", f"{WEBHOOKS}/{made['id']}/runs") == {
        "runs": [
            {
                "webhook_event_id": "msg_1", "run_id": run["run_id"], "canonical_run_id": run["run_id"],
                "latest_event_id": 0, "status": "pending", "duplicate": False,
            }
        ]
    }  # fmt: skip


async def test_an_agent_is_told(hooks: Hooks) -> None:
    conversation = (await hooks.api.json("POST", "/conversations", {}))["id"]
    target = {"kind": "agent", "id": "echo", "conversation_mode": "existing", "conversation_id": conversation}
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "{{ payload.number }}"}]
    made = await hooks.create(template={"target": target, "messages": messages, "input": {"model": "m"}})
    assert made["template"]["target"] == target
    answer = await hooks.accepted(made, {"number": 7})
    run = await hooks.api.json("GET", f"/conversations/{conversation}/runs/{answer['run_id']}")
    assert run["agent_id"] == "echo"
    stored = await hooks.api.json("GET", f"/runs/{answer['run_id']}")
    assert stored["input"] == {"model": "m", "messages": [messages[0], {"role": "user", "content": "7"}]}
    for kind, wanted in (("workflow", "workflow:w"), ("eval", "eval:w")):
        other = await hooks.create(template={"target": {"kind": kind, "id": "w"}})
        run = await hooks.api.json("GET", f"/runs/{(await hooks.accepted(other, {}))['run_id']}")
        assert (run["kind"], run["target"], run.get("input")) == (kind, wanted, None)


async def test_a_delivery_that_comes_again(hooks: Hooks, database: str) -> None:
    made = await hooks.create()
    body = b'{"a":1}'
    async with AsyncExitStack() as stack:
        others = [await stack.enter_async_context(api(database)) for _ in range(2)]
        for other in others:
            other.app.state.core = replace(other.core, clock=hooks.clock)
        senders = [hooks.sender, *(other.client for other in others)]
        headers = signed(made, body)
        answers = await asyncio.gather(
            *(sender.post(made["path"], content=body, headers=headers) for sender in senders * 3)
        )
    assert [answer.status_code for answer in answers] == [202] * 9
    assert sorted(answer.json()["duplicate"] for answer in answers) == [False] + [True] * 8
    (run,) = await hooks.runs()
    assert {answer.json()["run_id"] for answer in answers} == {run["run_id"]}
    # It is the sender's id that counts, also where the webhook has changed meanwhile.
    await hooks.api.json("PATCH", f"{WEBHOOKS}/{made['id']}", {"template": {"target": {"kind": "task", "id": "x"}}})
    assert (await hooks.accepted(made, {"b": 2}))["duplicate"]
    listed = (await hooks.api.json("GET", f"{WEBHOOKS}/{made['id']}/runs"))["runs"]
    assert [(one["webhook_event_id"], one["duplicate"]) for one in listed] == [("msg_1", True)]
    hooks.clock.now += 1
    assert not (await hooks.accepted(made, body, headers=signed(made, body, sent_id="msg_2")))["duplicate"]
    other_hook = await hooks.create()
    assert not (await hooks.accepted(other_hook, body))["duplicate"], "ids are those of one webhook"
    listed = (await hooks.api.json("GET", f"{WEBHOOKS}/{made['id']}/runs"))["runs"]
    assert [one["webhook_event_id"] for one in listed] == ["msg_2", "msg_1"]
    assert len((await hooks.api.json("GET", f"{WEBHOOKS}/{made['id']}/runs?limit=1"))["runs"]) == 1


async def test_github(hooks: Hooks) -> None:
    conditions = [{"path": "event", "equals": "pull_request"}, {"path": "payload.action", "in": ["opened"]}]
    made = await hooks.create(signature="github", filter=conditions, template={**TASK, "input": {"of": "{{ event }}"}})
    body = b'{"action":"opened"}'
    event = {"X-GitHub-Event": "pull_request"}
    first = await hooks.accepted(made, body, headers=from_github(made, body, **event, **{"X-GitHub-Delivery": "d-1"}))
    assert (first["accepted"], first["webhook_event_id"]) == (True, "d-1")
    assert (await hooks.api.json("GET", f"/runs/{first['run_id']}"))["input"] == {"of": "pull_request"}
    # Without a delivery's id, the body tells.
    second = await hooks.accepted(made, body, headers=from_github(made, body, **event))
    third = await hooks.accepted(made, body, headers=from_github(made, body, **event))
    assert (second["duplicate"], third["duplicate"], third["run_id"]) == (False, True, second["run_id"])
    assert second["run_id"] != first["run_id"]
    ping = await hooks.accepted(made, b"{}", headers=from_github(made, b"{}", **{"X-GitHub-Event": "ping"}))
    assert (ping["accepted"], ping["reason"]) == (False, "filtered")
    for wrong in ({}, signed({"secret": "whsec_"}, body), from_github({"secret": "x"}, body)):
        assert (await hooks.refused(made, body, 401, headers=wrong))["code"] == "signature_refused"
    assert len(await hooks.runs()) == 2


async def test_what_the_filter_and_a_pause_hold_back(hooks: Hooks) -> None:
    made = await hooks.create(filter=[{"path": "payload.kind", "equals": "x"}])
    assert await hooks.accepted(made, {"kind": "y"}) == {
        "accepted": False, "webhook_event_id": "msg_1", "reason": "filtered",
    }  # fmt: skip
    assert (await hooks.accepted(made, {"kind": "x"}))["accepted"], "what was held back did not use the id up"
    await hooks.api.json("PATCH", f"{WEBHOOKS}/{made['id']}", {"status": "paused"})
    assert (await hooks.accepted(made, {"kind": "x"}))["reason"] == "paused"
    assert len(await hooks.runs()) == 1


async def test_deliveries_that_are_refused(hooks: Hooks) -> None:
    made = await hooks.create()
    body = b"{}"
    late = signed(made, body, at_ms=START_MS - 301_000)
    wrong = signed(made, body, secret="whsec_" + base64.b64encode(bytes(32)).decode())
    details = set()
    for headers in ({}, late, wrong, {**signed(made, body), "webhook-id": "other"}):
        problem = await hooks.refused(made, body, 401, headers=headers)
        details.add((problem["code"], problem["detail"], problem["title"]))
    for path in (f"/webhooks/{uuid4()}", "/webhooks/nonsense"):
        answer = await hooks.sender.post(path, content=body, headers=signed(made, body))
        problem = answer.json()
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Signature")
        details.add((problem["code"], problem["detail"], problem["title"]))
    assert len(details) == 1, "an unknown webhook looks like a wrong signature"
    for content in (b"", b"[]", b"5", b"{", b'{"a":"\\u0000"}', b"\xff"):
        await hooks.refused(made, content, 400)
    await hooks.refused(made, b'{"a":"' + b"x" * 64 * 1024 + b'"}', 413)
    assert (await hooks.refused(made, b'{"a":"' + b"x" * 70_000 + b'"}', 413, headers={}))[
        "code"
    ] == "payload_too_large"
    assert await hooks.runs() == []
    # A key of the project opens nothing here.
    await hooks.refused(made, body, 401, headers={"Authorization": f"Bearer {ADMIN_KEY}"})


async def test_a_new_secret_ends_the_former(hooks: Hooks) -> None:
    made = await hooks.create()
    rotated = await hooks.api.json("PATCH", f"{WEBHOOKS}/{made['id']}", {"rotate_secret": True})
    await hooks.refused(made, b"{}", 401)
    both = signed(made, b"{}")
    both["webhook-signature"] += " " + signed(rotated, b"{}")["webhook-signature"]
    assert (await hooks.accepted(made, b"{}", headers=both))["accepted"]
    given = await hooks.api.json("PATCH", f"{WEBHOOKS}/{made['id']}", {"secret": made["secret"]})
    assert given["secret"] == made["secret"]
    assert (await hooks.accepted(made, b"{}"))["duplicate"]


async def test_a_run_that_cannot_be_is_told_to_the_owner(hooks: Hooks) -> None:
    made = await hooks.create(template={"target": {"kind": "agent", "id": "nobody"}})
    problem = await hooks.refused(made, {}, 503)
    assert "nobody" not in problem["detail"], "the sender need not know what is behind the webhook"
    url = f"{WEBHOOKS}/{made['id']}"
    assert "nobody" in (await hooks.api.json("GET", url))["last_error"]
    await hooks.api.json("PATCH", url, {"template": {"target": {"kind": "agent", "id": "echo"}}})
    assert not (await hooks.accepted(made, {}))["duplicate"]
    assert (await hooks.api.json("GET", url))["last_error"] is None


async def test_what_a_template_makes_of_a_payload_has_a_limit(hooks: Hooks) -> None:
    made = await hooks.create(template={**TASK, "input": {"all": ["{{ payload.x }}"] * 50}})
    await hooks.refused(made, {"x": "y" * 60_000}, 413)
    assert "2 MB" in (await hooks.api.json("GET", f"{WEBHOOKS}/{made['id']}"))["last_error"]
    assert (await hooks.accepted(made, {"x": "y" * 30_000}))["accepted"]


async def test_runs_outlive_their_webhook_and_take_their_delivery_along(hooks: Hooks) -> None:
    made = await hooks.create(template={"target": {"kind": "agent", "id": "echo"}})
    first = await hooks.accepted(made, {})
    run = await hooks.api.json("GET", f"/runs/{first['run_id']}")
    assert run["run_id"] == first["run_id"]
    (message,) = (await hooks.api.json("GET", "/projects/default/runs"))["data"]
    assert message["run_id"] == first["run_id"]
    assert (await hooks.api.client.delete(f"{WEBHOOKS}/{made['id']}")).status_code == 204
    await hooks.api.json("GET", f"/runs/{first['run_id']}")
    await hooks.refused(made, {}, 401)


async def test_deliveries_are_counted(hooks: Hooks) -> None:
    made = await hooks.create(filter=[{"path": "payload.x", "exists": True}])
    for payload in ({"x": 1}, {"x": 1}, {}):
        await hooks.accepted(made, payload)
    await hooks.refused(made, {}, 401, headers={})
    metrics = (await hooks.api.client.get("/metrics")).text
    for outcome in ("started", "duplicate", "filtered", "refused"):
        assert f'perdure_webhook_deliveries_total{{outcome="{outcome}"}} 1.0' in metrics
