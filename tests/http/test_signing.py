"""The key of the server's own tokens is replaced while servers run; and tokens as OAuth clients ask for them."""

from __future__ import annotations

import asyncio
import base64
from typing import Any
from urllib.parse import quote_plus

import jwt
import pytest

from perdure.domain.ids import RunId, RunKey
from perdure.domain.signing_key import read_private_key
from perdure.services import issued_tokens, signing
from tests.http.platform_app import Platform, platform
from tests.http.runs_app import PROJECT, Api, problem_in
from tests.http.test_issued_tokens import exchanged, grant

FORM = "application/x-www-form-urlencoded"
DAY_MS = 24 * 3600 * 1000


async def published(server: Platform) -> list[str]:
    return [key["kid"] for key in (await server.client.get("/.well-known/jwks.json")).json()["keys"]]


def kid(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


async def works(server: Platform, token: str) -> bool:
    return (await server.ask("GET", "/runs", token)).status_code == 200


async def test_a_replaced_key_is_taken_up_by_running_servers(database: str) -> None:
    async with platform(database) as one, platform(database) as two:
        key = await one.new_key()
        before = await exchanged(two.client, key)
        assert await published(one) == await published(two) == [kid(before)]
        new = (await signing.rotate(one.core)).current.id
        assert new != kid(before)
        after = await exchanged(one.client, key)
        assert kid(after) == new
        two.clock.now += 1_000
        for server in (one, two):
            assert await works(server, before)
            assert await works(server, after), "a key that is not known is looked for"
        assert await published(one) == await published(two) == [new, kid(before)]
        two.clock.now += 30_000
        assert kid(await exchanged(two.client, key)) == new


async def test_a_server_that_hears_nothing_signs_with_the_new_key_in_half_a_minute(database: str) -> None:
    async with platform(database) as one, platform(database) as two:
        key = await one.new_key()
        old = kid(await exchanged(two.client, key))
        new = (await signing.rotate(one.core)).current.id
        late = await exchanged(two.client, key)
        assert kid(late) == old
        assert await works(one, late)
        two.clock.now += 30_000
        assert kid(await exchanged(two.client, key)) == new


async def test_a_replaced_key_is_published_until_its_last_token_has_ended(database: str) -> None:
    async with platform(database) as one:
        run = RunKey(PROJECT, RunId("r"))
        token = await issued_tokens.event_writer_token(one.core, run)
        new = (await signing.rotate(one.core)).current.id
        one.clock.now += DAY_MS - 1_000
        assert await published(one) == [new, kid(token)]
        assert await issued_tokens.verify(one.core, token) is not None
        one.clock.now += 2_000 + 10 * 60_000
        assert await published(one) == [new]
        assert await issued_tokens.verify(one.core, token) is None
        newer = (await signing.rotate(one.core)).current.id
        async with one.core.database.connection() as connection:
            text = await connection.fetchval("SELECT private_key FROM signing_keys")
        assert text.count("BEGIN PUBLIC KEY") == 1, "a key whose tokens have ended is dropped"
        assert read_private_key(text).id == newer, "a server of an earlier version reads the key that signs"


async def test_a_key_is_replaced_by_itself_after_ninety_days(database: str) -> None:
    async with platform(database) as one, platform(database) as two:
        (old,) = await published(one)
        for server in (one, two):
            server.clock.now += 91 * DAY_MS
        rings = await asyncio.gather(*(signing.key_ring(server.core) for server in (one, two)))
        assert len({ring.current.id for ring in rings}) == 1
        assert await published(one) == await published(two) == [rings[0].current.id, old]


async def test_servers_that_replace_the_key_at_once_agree(database: str) -> None:
    async with platform(database) as one, platform(database) as two:
        await published(one)
        rings = await asyncio.gather(*(signing.rotate(server.core) for server in (one, two)))
        newest = await signing.rotate(one.core)
        known = newest.public_keys(one.clock())
        assert {ring.current.id for ring in rings} <= set(known)


def basic(name: str, secret: str) -> dict[str, str]:
    joined = f"{quote_plus(name)}:{quote_plus(secret)}".encode()
    return {"Authorization": f"Basic {base64.b64encode(joined).decode()}"}


async def test_oauth_clients_get_a_token(at_work: Api) -> None:
    """In the form of RFC 6749: a form, with the client in it or in HTTP Basic."""
    key = await at_work.new_key(scopes=["runs:read", "runs:write"])
    said = {name: str(value) for name, value in grant(key).items()}
    nobody = {"Authorization": ""}
    answers = [
        await at_work.client.post("/auth/token", data={**said, "audience": "ignored"}, headers=nobody),
        await at_work.client.post(
            "/auth/token",
            content=b"grant_type=client_credentials&project_slug=default",
            headers={**basic(said["client_id"], key), "Content-Type": f"{FORM}; charset=UTF-8"},
        ),
        await at_work.client.post("/auth/token", json=said, headers=nobody),
    ]
    for answer in answers:
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        body: dict[str, Any] = answer.json()
        assert (body["token_type"], body["scope"]) == ("Bearer", "runs:read runs:write")
        headers = {"Authorization": f"Bearer {body['access_token']}"}
        assert (await at_work.client.get("/runs", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("body", "headers", "status", "error"),
    [
        ("grant_type=client_credentials", basic("nobody", "wrong"), 401, "invalid_client"),
        ("grant_type=client_credentials", {"Authorization": "Basic ???"}, 401, "invalid_client"),
        ("grant_type=client_credentials", {"Authorization": "Basic bm9jb2xvbg=="}, 401, "invalid_client"),
        ("grant_type=client_credentials&client_id=a&client_secret=b", {}, 401, "invalid_client"),
        ("grant_type=client_credentials&client_id=a&client_secret=b", basic("a", "b"), 400, "invalid_request"),
        ("grant_type=client_credentials&client_id=a&client_id=a&client_secret=b", {}, 400, "invalid_request"),
        ("grant_type=client_credentials", {}, 400, "invalid_request"),
        ("grant_type=password&client_id=a&client_secret=b", {}, 400, "unsupported_grant_type"),
        ("", {}, 400, "invalid_request"),
        ("grant_type=client_credentials&client_id=%ff&client_secret=b", {}, 400, "invalid_request"),
        ("&".join(f"a{n}=1" for n in range(50)), {}, 400, "invalid_request"),
    ],
)
async def test_oauth_clients_are_refused_in_their_words(
    at_work: Api, body: str, headers: dict[str, str], status: int, error: str
) -> None:
    sent = {"Authorization": "", **headers, "Content-Type": FORM}
    answer = await at_work.client.post("/auth/token", content=body.encode(), headers=sent)
    assert (answer.status_code, problem_in(answer).get("error")) == (status, error), answer.text
    asked = answer.headers.get("www-authenticate", "").partition(" ")[0]
    assert asked == ("" if status == 400 else "Basic" if headers else "Bearer")
