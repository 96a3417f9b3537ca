"""Who may do what through the Agent Runs API: permissions, private runs, keys, tokens (vertesia.md sections 6, 7)."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import jwt
import pytest

from perdure.domain.api_key import prefix_of
from perdure.domain.principal import Scope
from perdure.http.agents.operations import OPERATIONS
from perdure.http.operations import Operation
from perdure.services import catalog, lifecycle
from perdure.services.tokens import JwtSettings
from tests.http.agents_app import Caller, caller, error_in
from tests.http.platform_app import AUDIENCE, ISSUER, SECRET, Platform, claims, platform
from tests.http.runs_app import Api

SHARED = JwtSettings(secret=SECRET, issuer=ISSUER, audience=AUDIENCE)
OF_A_RUN = [operation for operation in OPERATIONS if "{run_id}" in operation.path]
GUARDED = [operation for operation in OPERATIONS if operation.scope is not None]
NAMES = {
    "child_id": "c", "signal_name": "Hello", "query_name": "AgentPlan", "path": "out/x.txt", "name": "Hello",
}  # fmt: skip


def place(operation: Operation, run_id: str = "r") -> str:
    """The operation's path for a run."""
    path = operation.path.replace(":path}", "}")
    names = {name: NAMES.get(name, "x") for name in operation.path_schemas}
    return path.format_map({**NAMES, **names, "run_id": run_id})


def name_of(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


def token(*permissions: str, **more: object) -> str:
    """A token of another issuer's, as it says what its bearer may."""
    return jwt.encode(claims(scopes=list(permissions), **more), SECRET, "HS256")


@asynccontextmanager
async def trusting(database: str) -> AsyncIterator[Platform]:
    """A server that takes tokens of another issuer's, with the agent `echo`."""
    async with platform(database, SHARED) as at_work:
        await catalog.register(at_work.core, "worker-1", [("agent", "echo")], 1)
        yield at_work


async def test_each_permission_opens_what_it_names(database: str) -> None:
    async with trusting(database) as at_work:
        allowed = {
            "agent_run:read": {Scope.RUNS_READ},
            "workflow:run": {Scope.RUNS_READ, Scope.RUNS_WRITE, Scope.EVENTS_APPEND},
            "workflow:admin": {Scope.RUNS_READ, Scope.RUNS_WRITE, Scope.EVENTS_APPEND},
            "workflow:superadmin": {Scope.RUNS_READ, Scope.RUNS_WRITE, Scope.EVENTS_APPEND},
            "something:else": set(),
        }
        for permission, scopes in allowed.items():
            bearer = token(permission)
            for operation in GUARDED:
                answer = await at_work.ask(operation.method, place(operation), bearer, content=b"[")
                if operation.scope in scopes:
                    assert answer.status_code in (200, 400, 404), (permission, name_of(operation), answer.text)
                else:
                    error_in(answer, 403)


async def test_nobody_else_sees_a_private_run(at_work: Api) -> None:
    owner, other = await caller(at_work), await caller(at_work)
    superadmin = await caller(at_work, "runs:read", "runs:write", "runs:private")
    run = await owner.start(visibility="private", title="hidden words", data={"task": "x"})
    [taken] = await lifecycle.claim(at_work.core, "worker-1", ["agent:echo"], 1, 60)
    assert taken.key.run_id == run["id"]
    for operation in OF_A_RUN:
        answer = await other.ask(operation.method, place(operation, run["id"]), body_for(operation))
        error_in(answer, 404)
        missing = await other.ask(operation.method, place(operation, "nothing"), body_for(operation))
        assert answer.json()["status"] == missing.json()["status"], name_of(operation)
    for path in ("", "/events", "/stream", "/snapshot"):
        assert (await other.ask("GET", f"/runs/{run['id']}{path}")).status_code == 404, path
    for action in ("cancel", "complete"):
        body = {"status": "completed"} if action == "complete" else None
        assert (await other.ask("POST", f"/runs/{run['id']}/{action}", body)).status_code == 404
    for who, seen in ((owner, 1), (superadmin, 1), (other, 0)):
        page = await who.json("GET")
        assert (len(page["items"]), page["total_count"]) == (seen, seen)
        assert (await who.json("GET", f"?id={run['id']}"))["total_count"] == seen
        assert len((await who.json("GET", "/runs"))["data"]) == seen
        expected = 200 if seen else 404
        for path in ("", "/details", "/internals", "/children", "/updates", "/artifacts"):
            assert (await who.ask("GET", f"/{run['id']}{path}")).status_code == expected, path
    assert (await owner.json("GET", f"/{run['id']}"))["status"] == "running"


def body_for(operation: Operation) -> object:
    """A body that an operation may take."""
    known: dict[str, object] = {
        "/status": {"title": "x"},
        "/workflow": {"workflow_id": "w", "first_workflow_run_id": "f"},
        "/answer-task": {"task_id": "t", "result": {}},
        "/advance": {},
        "/retry-node": {},
        "/events": {"events": []},
    }
    return next((body for end, body in known.items() if operation.path.endswith(end)), None)


async def test_another_projects_run_is_not_there(at_work: Api) -> None:
    owner = await caller(at_work)
    run = await owner.start()
    await at_work.json("POST", "/projects", {"slug": "other"})
    key = (await at_work.json("POST", "/projects/other/keys", {"name": "k"}))["key"]
    stranger = Caller(at_work, key)
    for operation in OF_A_RUN:
        await stranger.refused(operation.method, f"/api{place(operation, run['id'])[4:]}", 404, body_for(operation))
    assert (await stranger.json("GET"))["total_count"] == 0


async def test_a_reader_changes_nothing(at_work: Api) -> None:
    owner, reader = await caller(at_work), await caller(at_work, "runs:read")
    run = await owner.start()
    for operation in OF_A_RUN:
        if operation.scope is not Scope.RUNS_READ:
            await reader.refused(operation.method, place(operation, run["id"]), 403, body_for(operation))
    await reader.refused("POST", "", 403, {"interaction": "echo"})
    assert await reader.json("GET", f"/{run['id']}") == run


async def test_a_run_can_be_started_for_somebody_else(at_work: Api) -> None:
    ordinary = await caller(at_work)
    trusted = await caller(at_work, "runs:read", "runs:write", "runs:private")
    await ordinary.refused("POST", "", 403, {"interaction": "echo", "started_by": "user:ann"})
    run = await trusted.start(started_by=ordinary.subject, visibility="private")
    assert run["started_by"] == ordinary.subject
    assert (await ordinary.json("GET", f"/{run['id']}"))["visibility"] == "private"
    other = await trusted.start(started_by="user:ann", visibility="private")
    await ordinary.refused("GET", f"/{other['id']}", 404)


async def test_paths_may_end_with_a_slash(at_work: Api) -> None:
    who = await caller(at_work)
    run = await who.start()
    assert (await who.json("GET", "/"))["total_count"] == 1
    assert (await who.json("POST", "/", {"interaction": "echo"}))["status"] == "running"
    for path in ("/", "/details/", "/children/", "/internals/"):
        assert (await who.ask("GET", f"/{run['id']}{path}")).status_code == 200, path
    await who.refused("GET", "//", 404)


# --- the token exchange ----------------------------------------------------------------------------------------------


async def issue(client: httpx.AsyncClient, bearer: str | None, **body: object) -> httpx.Response:
    headers = {"Authorization": "" if bearer is None else f"Bearer {bearer}"}
    return await client.post("/sts/token/issue", headers=headers, json=body or None)


async def sk_key(at_work: Api, **body: object) -> str:
    key = await at_work.new_key(kind="sk", **body)
    assert key.startswith("sk-")
    return key


async def test_a_key_is_exchanged_for_a_token(at_work: Api) -> None:
    key = await sk_key(at_work, scopes=["runs:read", "runs:write"])
    by_header, by_body = await issue(at_work.client, key), await issue(at_work.client, None, type="apikey", key=key)
    for answer in (by_header, by_body):
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        told = answer.json()
        assert set(told) == {"token", "token_type", "expires_in"}
        assert (told["token_type"], told["expires_in"]) == ("Bearer", 3600)
        assert told["token"].count(".") == 2
        said = jwt.decode(told["token"], options={"verify_signature": False})
        assert time.time() < said["exp"] <= time.time() + 3601
        assert key not in str(said)
    who = Caller(at_work, by_header.json()["token"])
    run = await who.start(visibility="private")
    assert run["started_by"] == f"apikey:{prefix_of(key)}"
    assert await Caller(at_work, key).json("GET", f"/{run['id']}") == run, "the key itself is good, too"


@pytest.mark.parametrize("path", ["/sts/token/issue/", "/sts/token/issue"])
async def test_keys_of_every_kind_are_exchanged(at_work: Api, path: str) -> None:
    for key in (await at_work.new_key(), "pd_admin"):
        answer = await at_work.client.post(path, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == 200, answer.text


async def test_what_is_no_key_is_not_exchanged(at_work: Api) -> None:
    key = await sk_key(at_work)
    made = (await issue(at_work.client, key)).json()["token"]
    for wrong in (None, "sk-x", key[:-1], key + "x", made, "sk-abcdefghijkl_" + "x" * 43):
        answer = await issue(at_work.client, wrong)
        assert answer.status_code == 401, wrong
        assert answer.json()["error"] == "Unauthorized"
    refused = await issue(at_work.client, key, type="user")
    assert (refused.status_code, refused.json()["errorCode"]) == (403, "token_issuance_forbidden")
    lost = await issue(at_work.client, key, type="apikey", project_id="nothing")
    assert (lost.status_code, lost.json()["errorCode"]) == (403, "no_accessible_account")
    for body in (b"[]", b"{", b'{"type": 1}'):
        bad = await at_work.client.post("/sts/token/issue", content=body, headers={"Authorization": f"Bearer {key}"})
        assert bad.status_code == 400, body
        assert bad.json()["status"] == 400


async def test_a_token_ends_with_its_key(at_work: Api) -> None:
    key = await sk_key(at_work)
    told = (await issue(at_work.client, key)).json()["token"]
    refreshed = await at_work.client.post("/sts/token/refresh", json={"token": told})
    assert refreshed.status_code == 200, refreshed.text
    newer = refreshed.json()["token"]
    assert (await Caller(at_work, newer).json("GET"))["total_count"] == 0
    await at_work.json("DELETE", f"/keys/{prefix_of(key)}")
    assert (await issue(at_work.client, key)).status_code == 401
    assert (await at_work.client.post("/sts/token/refresh", json={"token": newer})).status_code == 401
    await Caller(at_work, newer).refused("GET", "", 401)


async def test_only_tokens_of_the_exchange_are_refreshed(at_work: Api) -> None:
    key = await sk_key(at_work)
    foreign = jwt.encode({"exp": int(time.time()) + 60, "key_prefix": prefix_of(key)}, SECRET, "HS256")
    for wrong in (key, "x", foreign, f"{foreign}x"):
        answer = await at_work.client.post("/sts/token/refresh", json={"token": wrong})
        assert answer.status_code == 401, wrong
    assert (await at_work.client.post("/sts/token/refresh", json={})).status_code == 400


async def test_a_kind_is_for_new_keys(at_work: Api) -> None:
    for body in ({"kind": "vf"}, {"kind": "sk", "key": "sk-abcd_" + "x" * 20}):
        await at_work.problem("POST", "/keys", 400, json={"name": "n", **body})
    imported = "sk-abcd1234_" + "x" * 20
    assert await at_work.new_key(key=imported) == imported
    assert (await Caller(at_work, imported).json("GET"))["total_count"] == 0
