"""Event-writer tokens: good for one run, for appending, and for nothing else."""

from __future__ import annotations

from typing import Any

import httpx
import jwt
import pytest_asyncio

from perdure.domain.ids import RunId, RunKey
from perdure.domain.principal import Scope
from perdure.services import issued_tokens
from tests.http.runs_app import PROJECT, Api, problem_in


class Family:
    """A parent run, its child, and its child's child."""

    def __init__(self, at_work: Api, *made: dict[str, Any]) -> None:
        self.at_work = at_work
        self.parent, self.child, self.grandchild = (str(one["run"]["run_id"]) for one in made)
        self.events = {
            one["run"]["run_id"]: f"/conversations/{one['conversation_id']}/runs/{one['run']['run_id']}/events"
            for one in made
        }

    async def ask(self, parent: str, child: str, token: str | None = None) -> httpx.Response:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return await self.at_work.client.post(f"/runs/{parent}/children/{child}/event-writer-token", headers=headers)

    async def token(self, parent: str, child: str, token: str | None = None) -> str:
        answer = await self.ask(parent, child, token)
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        body = answer.json()
        assert list(body) == ["run_event_token"]
        assert 0 < len(body["run_event_token"]) <= 4096
        return str(body["run_event_token"])

    async def append(self, run_id: str, token: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return await self.at_work.client.post(self.events[run_id], json={"events": [{"type": "A"}]}, headers=headers)


@pytest_asyncio.fixture
async def family(at_work: Api) -> Family:
    parent = await at_work.create()
    child = await at_work.create(parent_run_id=parent["run"]["run_id"])
    grandchild = await at_work.create(parent_run_id=child["run"]["run_id"])
    return Family(at_work, parent, child, grandchild)


async def test_it_appends_to_its_run_and_does_nothing_else(family: Family) -> None:
    token = await family.token(family.parent, family.child)
    appended = await family.append(family.child, token)
    assert (appended.status_code, appended.json()["latest_external_event_sequence"]) == (200, 1)
    assert (await family.append(family.parent, token)).status_code == 403
    headers = {"Authorization": f"Bearer {token}"}
    client = family.at_work.client
    for method, path in (
        ("GET", f"/runs/{family.child}"),
        ("GET", f"/runs/{family.child}/stream"),
        ("GET", "/runs"),
        ("POST", f"/runs/{family.child}/complete"),
        ("POST", f"/runs/{family.child}/cancel"),
        ("GET", "/keys"),
    ):
        answer = await client.request(method, path, headers=headers)
        assert (answer.status_code, problem_in(answer)["code"]) == (403, "not_allowed"), path


async def test_a_parents_own_token_makes_its_childs(family: Family) -> None:
    child = await family.token(family.parent, family.child)
    grandchild = await family.token(family.child, family.grandchild, child)
    assert (await family.append(family.grandchild, grandchild)).status_code == 200
    assert (await family.append(family.child, grandchild)).status_code == 403
    assert (await family.ask(family.parent, family.child, child)).status_code == 403, "not for its sisters"


async def test_only_children_of_ones_own_project(family: Family, at_work: Api) -> None:
    for parent, child in ((family.parent, family.grandchild), (family.child, family.parent), (family.parent, "none")):
        answer = await family.ask(parent, child)
        assert (answer.status_code, problem_in(answer)["code"]) == (404, "run_not_found")
    await at_work.json("POST", "/projects", {"slug": "other"})
    foreign = (await at_work.json("POST", "/projects/other/keys", {"name": "theirs"}))["key"]
    assert (await family.ask(family.parent, family.child, foreign)).status_code == 404
    reader = await at_work.new_key(scopes=["runs:read"])
    assert (await family.ask(family.parent, family.child, reader)).status_code == 403


async def test_what_it_says(at_work: Api) -> None:
    token = await issued_tokens.event_writer_token(at_work.core, RunKey(PROJECT, RunId("run-1")))
    said = jwt.decode(token, options={"verify_signature": False})
    assert jwt.get_unverified_header(token)["alg"] == "RS256"
    assert (said["tokenUse"], said["actorType"]) == ("run_event_writer", "service_account")
    assert (said["projectId"], said["runId"], said["scopes"]) == (str(PROJECT), "run-1", [Scope.EVENTS_APPEND])
    assert said["userId"]
    assert said["exp"] - said["iat"] == 24 * 3600
