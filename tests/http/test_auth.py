"""API keys and projects over HTTP: who is let in, and where."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from itertools import product
from uuid import UUID

import pytest

from perdure.domain.api_key import BOOTSTRAP_PREFIX, KeyKind, new_token, prefix_of
from perdure.domain.errors import InvalidRequest
from perdure.domain.project import DEFAULT_PROJECT_ID
from perdure.services.authentication import MAX_CACHE_MS
from perdure.services.keys import ensure_bootstrap_key
from perdure.store.runs import at
from tests.http.platform_app import ADMIN_KEY, platform
from tests.store.harness import WAIT_SECONDS, new_run

OTHER_ID = "8c2f9f0e-4c3c-4a3b-9a43-0b6b0a1f7f11"
PROTECTED = (
    ("GET", "/projects"),
    ("POST", "/projects"),
    ("GET", "/projects/default"),
    ("GET", "/keys"),
    ("POST", "/keys"),
    ("DELETE", "/keys/x"),
    ("GET", "/projects/default/keys"),
    ("POST", "/projects/default/keys"),
    ("DELETE", "/projects/default/keys/x"),
)


async def test_nobody_gets_in_without_a_key(database: str) -> None:
    strangers = (None, "", "nobody's key", "pd_abcdefghijkl_" + "x" * 43, "x" * 20_000)
    async with platform(database) as at_work:
        for (method, path), credential in product(PROTECTED, strangers):
            answer = await at_work.ask(method, path, credential, content=b"no JSON")
            assert answer.status_code == 401, (method, path, credential)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.json()["code"] == "not_authenticated"
            assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_every_way_to_send_a_key(database: str) -> None:
    async with platform(database) as at_work:
        key = await at_work.new_key()
        for headers in (
            {"Authorization": f"Bearer {key}"},
            {"Authorization": f"bearer  {key} "},
            {"X-API-Key": key},
            {"X-API-Key": key, "Authorization": "Basic cHJveHk6cHJveHk="},
        ):
            assert (await at_work.client.get("/projects", headers=headers)).status_code == 200, headers
        for headers in (
            {"Authorization": f"Bearer {key}x"},
            {"Authorization": key},
            {"Authorization": "Bearer"},
            {"X-API-Key": key[:-1]},
            {"X-API-Key": key, "Authorization": "Bearer wrong"},
        ):
            assert (await at_work.client.get("/projects", headers=headers)).status_code == 401, headers


async def test_a_key_holds_its_scopes_only(database: str) -> None:
    async with platform(database) as at_work:
        ordinary = await at_work.new_key()
        writer = await at_work.new_key(scopes=["runs:write"])
        assert (await at_work.ask("GET", "/projects", ordinary)).status_code == 200
        for key, method, path in (
            (ordinary, "POST", "/projects"),
            (ordinary, "GET", "/keys"),
            (ordinary, "POST", "/keys"),
            (ordinary, "DELETE", "/keys/x"),
            (writer, "GET", "/projects"),
        ):
            answer = await at_work.ask(method, path, key, json={"slug": "mine", "name": "mine", "scopes": ["admin"]})
            assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed"), (method, path)
        assert (await at_work.ask("GET", "/projects/mine")).status_code == 404


async def test_the_whole_key_is_told_once(database: str) -> None:
    async with platform(database) as at_work:
        made = await at_work.ask("POST", "/keys", json={"name": " CI ", "scopes": ["runs:read"]})
        key = made.json()
        assert made.headers["cache-control"] == "no-store"
        assert (key["name"], key["scopes"], key["expires_at"], key["revoked_at"]) == ("CI", ["runs:read"], None, None)
        assert UUID(key["project_id"]) == DEFAULT_PROJECT_ID
        assert prefix_of(key["key"]) == key["prefix"]
        assert key["key"].startswith("pd_")
        listed = await at_work.ask("GET", "/keys")
        assert [one["name"] for one in listed.json()["data"]] == ["bootstrap", "CI"]
        assert listed.json()["page_info"] == {"self": None, "first": None, "next": None, "prev": None}
        assert key["key"].rpartition("_")[2] not in listed.text
        stored = await at_work.core.database.fetch("SELECT api_keys::text AS row FROM api_keys")
        assert key["key"].rpartition("_")[2] not in str(stored)


async def test_a_principal_is_remembered_for_five_seconds(database: str) -> None:
    async with platform(database) as at_work:
        key = await at_work.new_key()
        assert (await at_work.ask("GET", "/projects", key)).status_code == 200
        # Behind our back: nobody is told.
        await at_work.core.database.execute("UPDATE api_keys SET revoked_at = now() WHERE prefix = $1", prefix_of(key))
        at_work.clock.now += MAX_CACHE_MS - 1
        assert (await at_work.ask("GET", "/projects", key)).status_code == 200
        at_work.clock.now += 1
        assert (await at_work.ask("GET", "/projects", key)).status_code == 401


async def test_a_revoked_key_ends_at_once_in_every_process(database: str) -> None:
    async with platform(database) as here, platform(database) as there:
        key = await here.new_key()
        for at_work in (here, there):
            assert (await at_work.ask("GET", "/projects", key)).status_code == 200
        revoked = await here.ask("DELETE", f"/keys/{prefix_of(key)}")
        assert revoked.json()["revoked_at"] is not None
        assert (await here.ask("GET", "/projects", key)).status_code == 401
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                if (await there.ask("GET", "/projects", key)).status_code == 401:
                    break
                await asyncio.sleep(0.002)
        again = await here.ask("DELETE", f"/keys/{revoked.json()['id'].upper()}")
        assert again.json() == revoked.json()


async def test_revoking_what_is_not_there(database: str) -> None:
    async with platform(database) as at_work:
        for name in ("x", "~bootstra", "%00", "%FF", "a%2Fb", OTHER_ID, "é" * 40):
            answer = await at_work.ask("DELETE", f"/keys/{name}")
            assert (answer.status_code, answer.json()["code"]) == (404, "key_not_found"), name


async def test_a_key_ends_when_it_expires(database: str) -> None:
    async with platform(database) as at_work:
        soon = at(at_work.clock.now) + timedelta(seconds=2)
        key = await at_work.new_key(expires_at=soon.isoformat())
        assert (await at_work.ask("GET", "/projects", key)).status_code == 200
        at_work.clock.now += 2_000
        assert (await at_work.ask("GET", "/projects", key)).status_code == 401


async def test_keys_of_elsewhere_can_be_imported(database: str) -> None:
    async with platform(database) as at_work:
        key = "vf_Ab12Cd34_" + "s-e_c" * 8
        assert await at_work.new_key(key=key) == key
        assert (await at_work.ask("GET", "/projects", key)).status_code == 200
        assert (await at_work.ask("GET", "/projects", "pd" + key[2:])).status_code == 401
        taken = await at_work.ask("POST", "/keys", json={"name": "again", "key": "vf_Ab12Cd34_" + "t" * 32})
        assert (taken.status_code, taken.json()["code"]) == (409, "conflict")


BAD_KEYS: tuple[tuple[object, str], ...] = (
    ({}, "/name"),
    ({"name": ""}, "/name"),
    ({"name": "a\u0000b"}, "/name"),
    ({"name": " \n "}, "/name"),
    ({"name": "n", "scopes": []}, "/scopes"),
    ({"name": "n", "scopes": ["root"]}, "/scopes/0"),
    ({"name": "n", "expires_at": "tomorrow"}, "/expires_at"),
    ({"name": "n", "expires_at": "2999-01-01T00:00:00"}, "/expires_at"),
    ({"name": "n", "expires_at": "0001-01-01T00:00:00+14:00"}, "/expires_at"),
    ({"name": "n", "expires_at": "2000-01-01T00:00:00Z"}, "/expires_at"),
    ({"name": "n", "key": "vf_short_x"}, "/key"),
    ({"name": "n", "key": "~bootstrap"}, "/key"),
    ({"name": "n", "admin": True}, "/admin"),
    ([], ""),
)


async def test_bad_keys_are_refused(database: str) -> None:
    async with platform(database) as at_work:
        for body, pointer in BAD_KEYS:
            answer = await at_work.ask("POST", "/keys", json=body)
            assert (answer.status_code, answer.json().get("pointer")) == (400, pointer), (body, answer.text)
        assert len((await at_work.ask("GET", "/keys")).json()["data"]) == 1


async def test_any_text_may_be_the_bootstrap_key(database: str) -> None:
    async with platform(database) as at_work:
        for token in (
            "x",
            "with spaces inside",
            "pd_abcdefghijkl_" + "s" * 43,
            "vf_a_b",
            "eyJ.a.b",
            "schlüssel",
            " padded ",
        ):
            await ensure_bootstrap_key(at_work.core, DEFAULT_PROJECT_ID, token)
            listed = await at_work.client.get("/keys", headers={b"X-API-Key": token.strip().encode()})
            assert listed.status_code == 200, token
            assert [(key["prefix"], key["scopes"]) for key in listed.json()["data"]] == [(BOOTSTRAP_PREFIX, ["admin"])]
        with pytest.raises(InvalidRequest):
            await ensure_bootstrap_key(at_work.core, DEFAULT_PROJECT_ID, " ")


async def test_another_bootstrap_key_ends_the_former(database: str) -> None:
    async with platform(database) as at_work:
        assert (await at_work.ask("GET", "/keys")).status_code == 200
        await ensure_bootstrap_key(at_work.core, DEFAULT_PROJECT_ID, "the second key of all")
        assert (await at_work.ask("GET", "/keys")).status_code == 401
        assert (await at_work.ask("GET", "/keys", "the second key of all")).status_code == 200


async def test_a_start_with_the_same_bootstrap_key_changes_nothing_but_revocation(database: str) -> None:
    async with platform(database) as at_work:
        before = (await at_work.ask("GET", "/keys")).json()
        assert (await at_work.ask("DELETE", f"/keys/{BOOTSTRAP_PREFIX}")).status_code == 200
        assert (await at_work.ask("GET", "/keys")).status_code == 401
        at_work.clock.now += 1
        await ensure_bootstrap_key(at_work.core, DEFAULT_PROJECT_ID, ADMIN_KEY)
        assert (await at_work.ask("GET", "/keys")).json() == before


async def test_projects_are_made_and_found(database: str) -> None:
    async with platform(database) as at_work:
        made = await at_work.ask("POST", "/projects", json={"id": OTHER_ID, "slug": "other", "name": "The other"})
        assert made.status_code == 201
        project = made.json()
        assert {**project, "created_at": None} == {
            "id": OTHER_ID, "slug": "other", "name": "The other", "created_at": None, "max_running": None,
        }  # fmt: skip
        assert datetime.fromisoformat(project["created_at"]) == at(at_work.clock.now)
        for ref in ("other", OTHER_ID, OTHER_ID.upper()):
            assert (await at_work.ask("GET", f"/projects/{ref}")).json() == project
        unnamed = await at_work.new_project("third")
        assert UUID(unnamed).version == 7
        listed = await at_work.ask("GET", "/projects")
        assert {one["slug"] for one in listed.json()["data"]} == {"default", "other", "third"}


async def test_a_taken_project_is_a_conflict(database: str) -> None:
    async with platform(database) as at_work:
        for body in ({"slug": "default"}, {"slug": "new", "id": str(DEFAULT_PROJECT_ID)}):
            answer = await at_work.ask("POST", "/projects", json=body)
            assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        assert len((await at_work.ask("GET", "/projects")).json()["data"]) == 1


BAD_PROJECTS: tuple[tuple[bytes, str | None], ...] = (
    (b"", None),
    (b"{", None),
    (b"[" * 10_000, None),
    (b'{"slug": "\\ud800"}', None),
    (b'{"slug": "a\\u0000"}', "/slug"),
    (b'{"slug": "A"}', "/slug"),
    (b'{"slug": "a--b"}', "/slug"),
    (b'{"slug": "a\\n"}', "/slug"),
    (b'{"slug": "%s"}' % (b"a" * 64), "/slug"),
    (b'{"slug": "%s"}' % OTHER_ID.encode(), "/slug"),
    (b'{"slug": "a", "id": "1"}', "/id"),
    (b'{"slug": "a", "name": 1}', "/name"),
    (b'{"slug": "a", "more": 1}', "/more"),
)


async def test_bad_projects_are_refused(database: str) -> None:
    async with platform(database) as at_work:
        for content, pointer in BAD_PROJECTS:
            answer = await at_work.ask("POST", "/projects", content=content)
            assert (answer.status_code, answer.json().get("pointer")) == (400, pointer), (content, answer.text)
        assert len((await at_work.ask("GET", "/projects")).json()["data"]) == 1


async def test_a_large_body_is_refused(database: str) -> None:
    async with platform(database) as at_work:
        answer = await at_work.ask("POST", "/projects", content=b'{"slug": "' + b"a" * 100_000)
        assert answer.status_code == 413


async def test_another_project_is_not_there(database: str) -> None:
    async with platform(database) as at_work:
        other = await at_work.new_project("other")
        key = await at_work.new_key(ref="other")
        for ref in ("default", str(DEFAULT_PROJECT_ID), "nothing", OTHER_ID, "%00", "a b", "é"):
            answer = await at_work.ask("GET", f"/projects/{ref}", key)
            assert (answer.status_code, answer.json()["code"]) == (404, "project_not_found"), ref
        for ref in ("other", other):
            assert (await at_work.ask("GET", f"/projects/{ref}", key)).json()["slug"] == "other"
        assert [one["slug"] for one in (await at_work.ask("GET", "/projects", key)).json()["data"]] == ["other"]


async def test_an_administrator_of_one_project_acts_in_all(database: str) -> None:
    async with platform(database) as at_work:
        await at_work.new_project("other")
        admin = await at_work.new_key(ref="other", scopes=["admin"])
        assert (await at_work.ask("GET", "/projects/default", admin)).status_code == 200
        here = await at_work.new_key()
        assert (await at_work.ask("DELETE", f"/keys/{prefix_of(here)}", admin)).status_code == 404
        assert (await at_work.ask("GET", "/projects", here)).status_code == 200
        revoked = await at_work.ask("DELETE", f"/projects/default/keys/{prefix_of(here)}", admin)
        assert revoked.status_code == 200
        assert (await at_work.ask("GET", "/projects", here)).status_code == 401
        assert (await at_work.ask("GET", "/projects/nothing/keys", admin)).status_code == 404


async def test_another_projects_run_is_not_there(database: str) -> None:
    async with platform(database) as at_work:
        run = await new_run(at_work.core)
        stranger = await at_work.new_key()
        owner = await at_work.new_key(ref=str(run.project_id))
        for path in (f"/runs/{run.run_id}", f"/runs/{run.run_id}/events", f"/runs/{run.run_id}/stream"):
            answer = await at_work.ask("GET", path, stranger)
            assert (answer.status_code, answer.json()["code"]) == (404, "run_not_found"), path
        assert (await at_work.ask("POST", f"/runs/{run.run_id}/cancel", stranger)).status_code == 404
        for key in (owner, ADMIN_KEY):
            assert (await at_work.ask("GET", f"/runs/{run.run_id}", key)).json()["status"] == "running"
        body = {
            "kind": "task", "owner": {"kind": "project", "id": str(run.project_id)}, "request": {"target": "task:t"},
        }  # fmt: skip
        foreign = await at_work.ask("POST", "/runs", stranger, json=body)
        assert (foreign.status_code, foreign.json()["code"]) == (404, "project_not_found")


PUBLIC = {
    "/livez": 200,
    "/readyz": 200,
    "/metrics": 200,
    "/.well-known/jwks.json": 200,
    "/auth/token": 400,
    "/webhooks/{webhook_id}": 401,
    "/artifacts/signed/{token}": 403,
    "/sts/token/issue": 401,
    "/sts/token/refresh": 400,
}
"""What needs no principal, and what it answers to a request without anything."""


async def test_every_route_but_health_and_documentation_wants_a_principal(database: str) -> None:
    async with platform(database) as at_work:
        document = (await at_work.ask("GET", "/openapi.json", None)).json()
        names = {"run_id": "r", "ref": "default", "conversation_id": OTHER_ID, "key_id": "k", "name": "n"}
        names |= {"worker_id": OTHER_ID, "child_run_id": "c", "input_request_id": OTHER_ID, "schedule_id": OTHER_ID}
        names |= {"agent": "a", "child_id": "c", "signal_name": "s", "query_name": "q"}
        names |= {"webhook_id": OTHER_ID, "service_id": OTHER_ID, "batch_id": OTHER_ID, "token": "t", "path": "p"}
        for path, operations in document["paths"].items():
            for method in operations:
                answer = await at_work.ask(method.upper(), path.format_map(names), None)
                public = path in PUBLIC
                assert answer.status_code == (PUBLIC[path] if public else 401), (method, path)
                assert ("security" in operations[method]) is not public, (method, path)


def test_new_keys_have_their_form() -> None:
    assert new_token(lambda size: b"\xff" * size) != new_token(lambda size: b"\x00" * size)
    for token in (new_token(lambda size: b"\xff" * size), new_token(lambda size: b"\x00" * size), new_token()):
        kind, prefix, secret = token.split("_")
        assert (kind, len(prefix), len(secret)) == ("pd", 12, 43)
        assert prefix_of(token) == prefix
    assert len({new_token() for _ in range(1_000)}) == 1_000
    exchanged = new_token(kind=KeyKind.EXCHANGED)
    assert exchanged.startswith("sk-")
    assert prefix_of(exchanged) == exchanged[3:15]
    for other in ("sk_ab_" + "s" * 20, "sk-abcd-" + "s" * 20, "pk-abcd_" + "s" * 20, "sk--abcd_" + "s" * 20):
        assert prefix_of(other) is None, other
