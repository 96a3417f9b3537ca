"""The server's own tokens: for the holder of a key, good on every server, and over when the key is."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from perdure.domain.api_key import BOOTSTRAP_PREFIX, prefix_of
from perdure.services import issued_tokens
from perdure.services.keys import ensure_bootstrap_key
from tests.http.platform_app import ADMIN_KEY, claims, platform
from tests.http.runs_app import PROJECT, Api, problem_in


def grant(key: str, **more: object) -> dict[str, object]:
    return {
        "grant_type": "client_credentials",
        "client_id": prefix_of(key) or BOOTSTRAP_PREFIX,
        "client_secret": key,
        **more,
    }


async def exchanged(client: httpx.AsyncClient, key: str, **more: object) -> str:
    answer = await client.post("/auth/token", json=grant(key, **more))
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    body: dict[str, Any] = answer.json()
    assert body["token_type"] == "Bearer"
    assert 0 < body["expires_in"] <= 3600
    return str(body["access_token"])


async def test_a_key_becomes_a_token_that_anybody_can_check(at_work: Api) -> None:
    key = await at_work.new_key(scopes=["runs:read"])
    token = await exchanged(at_work.client, key)
    published = await at_work.client.get("/.well-known/jwks.json", headers={"Authorization": ""})
    assert published.headers["cache-control"] == "public, max-age=300"
    (jwk,) = published.json()["keys"]
    assert (jwk["kty"], jwk["alg"], jwk["use"]) == ("RSA", "RS256", "sig")
    assert "d" not in jwk
    assert jwk["kid"] == jwt.get_unverified_header(token)["kid"]
    said = jwt.decode(token, jwt.PyJWK(jwk), issuer="perdure")
    assert (said["sub"], said["project_id"], said["scopes"]) == (f"key:{prefix_of(key)}", str(PROJECT), ["runs:read"])
    assert key not in str(said)
    headers = {"Authorization": f"Bearer {token}"}
    assert (await at_work.client.get("/runs", headers=headers)).status_code == 200
    assert (await at_work.client.get("/keys", headers=headers)).status_code == 403
    assert (await at_work.client.get("/runs", headers={"X-API-Key": token, "Authorization": ""})).status_code == 401


async def test_all_servers_sign_with_one_key(database: str) -> None:
    async with platform(database) as one, platform(database) as two:
        keys = await asyncio.gather(*(issued_tokens.signing_key(server.core) for server in (one, two, one, two)))
        assert len({key.id for key in keys}) == 1
        key = await one.new_key()
        token = await exchanged(one.client, key)
        assert (await two.ask("GET", "/runs", token)).status_code == 200


async def test_a_token_ends_with_time_and_with_its_key(database: str) -> None:
    async with platform(database) as at_work:
        key = await at_work.new_key()
        token = await exchanged(at_work.client, key)
        at_work.clock.now += 3_599_000
        assert (await at_work.ask("GET", "/runs", token)).status_code == 200
        at_work.clock.now += 1_000
        late = await at_work.ask("GET", "/runs", token)
        assert (late.status_code, late.json()["detail"]) == (401, "The token has expired.")
        fresh = await exchanged(at_work.client, key)
        assert (await at_work.ask("GET", "/runs", fresh)).status_code == 200
        assert (await at_work.ask("DELETE", f"/projects/default/keys/{prefix_of(key)}")).status_code == 200
        assert (await at_work.ask("GET", "/runs", fresh)).status_code == 401
        assert (await at_work.client.post("/auth/token", json=grant(key))).status_code == 401


async def test_an_administrators_token_ends_with_the_bootstrap_key(database: str) -> None:
    async with platform(database) as at_work:
        await at_work.new_project("other")
        token = await exchanged(at_work.client, ADMIN_KEY)
        assert (await at_work.ask("GET", "/keys", token)).status_code == 200
        there = await exchanged(at_work.client, ADMIN_KEY, project_slug="other")
        assert (await at_work.ask("GET", "/projects/other", there)).status_code == 200
        at_work.clock.now += 6_000
        await ensure_bootstrap_key(at_work.core, PROJECT, "another one")
        assert (await at_work.ask("GET", "/keys", token)).status_code == 401


async def test_a_key_acts_in_its_own_project_only(database: str) -> None:
    async with platform(database) as at_work:
        await at_work.new_project("other")
        key = await at_work.new_key()
        assert await exchanged(at_work.client, key, project_slug="default")
        answer = await at_work.client.post("/auth/token", json=grant(key, project_slug="other"))
        assert (answer.status_code, problem_in(answer)["code"]) == (404, "project_not_found")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"client_secret": "wrong"}, 401),
        ({"client_id": "wrong"}, 401),
        ({"grant_type": "password"}, 400),
        ({"client_secret": ""}, 400),
        ({"client_id": "a\u0000"}, 400),
        ({"more": 1}, 400),
    ],
)
async def test_wrong_credentials_get_no_token(at_work: Api, change: dict[str, object], status: int) -> None:
    key = await at_work.new_key()
    answer = await at_work.client.post("/auth/token", json={**grant(key), **change}, headers={"Authorization": ""})
    assert answer.status_code == status, answer.text
    problem_in(answer)


async def test_nobody_else_can_sign(at_work: Api) -> None:
    """Neither with another key under our key's name, nor with our public key as a secret, nor without a signature."""
    key = await issued_tokens.signing_key(at_work.core)
    said = claims(iss="perdure", aud=None, project_id=str(PROJECT))
    foreign = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    forged = [
        jwt.encode(said, foreign, "RS256", headers={"kid": key.id}),
        jwt.encode(said, foreign, "RS256", headers={"kid": "other"}),
        jwt.encode(said, key.private, "RS256", headers={"kid": "other"}),
        jwt.encode(said, key.private, "RS512", headers={"kid": key.id}),
        jwt.encode(said, "a secret of thirty-two bytes, or more", "HS256", headers={"kid": key.id}),
        jwt.encode(said, "", "none", headers={"kid": key.id}),
        jwt.encode({**said, "iss": "somebody"}, key.private, "RS256", headers={"kid": key.id}),
    ]
    for token in forged:
        answer = await at_work.client.get("/runs", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401, jwt.get_unverified_header(token)
