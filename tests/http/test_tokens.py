"""JSON Web Tokens: every kind that is good, and every way in which one is not."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from perdure.domain.errors import NotAuthenticated, Unavailable
from perdure.domain.principal import ORDINARY, Principal, Scope
from perdure.domain.project import DEFAULT_PROJECT_ID
from perdure.services.authentication import Authenticator
from perdure.services.jwks import JwksKeys
from perdure.services.tokens import JwtSettings
from tests.http.platform_app import AUDIENCE, ISSUER, SECRET, Signer, claims, platform, provider
from tests.store.harness import server

SHARED = JwtSettings(secret=SECRET, issuer=ISSUER, audience=AUDIENCE)
PUBLIC = ("RS256", "ES256", "EdDSA")


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


def reasons(more: Mapping[str, object]) -> str:
    return ", ".join(more)


@pytest.mark.parametrize("algorithm", ["HS256", *PUBLIC])
async def test_good_tokens_get_in(database: str, signer: Signer, algorithm: str) -> None:
    async with provider(signer.published()) as issuer:
        settings = JwtSettings(SECRET, issuer.url, ISSUER, AUDIENCE)
        async with platform(database, settings) as at_work:
            token = signer.sign(algorithm, claims())
            assert (await at_work.ask("GET", "/projects/default", token)).status_code == 200
            assert (await at_work.ask("GET", "/keys", token)).status_code == 403
            as_key = await at_work.client.get("/projects", headers={"X-API-Key": token})
            assert as_key.status_code == 401, "a JWT goes into Authorization (seed 002)"


BAD_CLAIMS: tuple[tuple[dict[str, object], str], ...] = (
    ({"exp": int(time.time()) - 1}, "The token has expired."),
    ({"exp": None}, "The token lacks the claim `exp`."),
    ({"exp": "soon"}, "The token is not valid."),
    ({"exp": 1e400}, "The token is not valid."),
    ({"nbf": int(time.time()) + 86_400}, "The token is not good yet."),  # this module may be loaded long before it runs
    ({"aud": "somebody-else"}, "The token is meant for another audience."),
    ({"aud": ["one", "two"]}, "The token is meant for another audience."),
    ({"aud": None}, "The token lacks the claim `aud`."),
    ({"iss": "https://other.example"}, "The token is of another issuer."),
    ({"iss": None}, "The token lacks the claim `iss`."),
    ({"sub": None}, "The token does not say whose it is: it needs the claim `sub`."),
    ({"sub": "x" * 256}, "The token does not say whose it is: it needs the claim `sub`."),
    ({"sub": "a\u0000b"}, "The token's claim `sub` must be a text."),
    ({"project_id": None}, "The token does not say in which project it acts: it needs the claim `project_id`."),
    ({"project_id": 7}, "The token's claim `project_id` must be a text."),
    ({"project_id": "nothing"}, "The project that the token names is not known here."),
    ({"project_id": "no such thing!"}, "The project that the token names is not known here."),
    ({"project_id": "8c2f9f0e-4c3c-4a3b-9a43-0b6b0a1f7f11"}, "The project that the token names is not known here."),
    ({"scopes": {"runs:read": True}}, "The token's scopes must be a list of words."),
    ({"scopes": [1]}, "The token's scopes must be a list of words."),
    ({"tokenUse": "run_event_writer"}, "The token is an event writer's and does not say of which run."),
)


async def test_tokens_that_say_the_wrong_thing_do_not(database: str, signer: Signer) -> None:
    async with platform(database, SHARED) as at_work:
        for more, detail in BAD_CLAIMS:
            answer = await at_work.ask("GET", "/projects", signer.sign("HS256", claims(**more)))
            assert (answer.status_code, answer.json()["detail"]) == (401, detail), more
            assert answer.headers["www-authenticate"] == "Bearer"


def forged(header: Mapping[str, object], signature: str = "") -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, claims())]
    return ".".join([*parts, signature])


async def test_tokens_with_the_wrong_signature_do_not(database: str, signer: Signer) -> None:
    public_pem = signer.rsa_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    good = signer.sign("RS256", claims())
    head, body, signature = good.split(".")
    bad = {
        "no signature": forged({"alg": "none", "typ": "JWT"}),
        "no signature, spelled otherwise": forged({"alg": "nOnE"}),
        "no algorithm": forged({"typ": "JWT"}, "c2ln"),
        "an algorithm that is no text": forged({"alg": ["RS256"]}, "c2ln"),
        "an unknown critical header": forged({"alg": "RS256", "kid": "RS256", "crit": ["x"], "x": 1}, "c2ln"),
        "another secret": jwt.encode(claims(), SECRET[::-1], "HS256"),
        "another algorithm of the secret": jwt.encode(claims(), SECRET * 2, "HS512"),
        "a stranger's key": jwt.encode(claims(), stranger, "RS256", headers={"kid": "RS256"}),
        "another algorithm of the key": jwt.encode(claims(), signer.rsa_key, "RS512", headers={"kid": "RS256"}),
        "padding that is not accepted": jwt.encode(claims(), signer.rsa_key, "PS256", headers={"kid": "RS256"}),
        "a published secret": jwt.encode(claims(), "secret" * 8, "HS256", headers={"kid": "shared"}),
        "another key's id": signer.sign("RS256", claims(), kid="ES256"),
        "an unknown key's id": signer.sign("RS256", claims(), kid="elsewhere"),
        "no signature part": f"{head}.{body}.",
        "a signature that was changed": f"{head}.{body}.{signature[:-8]}AAAAAAAA",
        "claims that were changed": f"{head}.{forged({}).split('.')[1][:-4]}AAAA.{signature}",
        "no JSON": "eyJub3Bl.e30.c2ln",
        "no base64": "eyJ!.e30.c2ln",
        "nothing inside": "eyJ..",
    }
    hmac_key = jwt.PyJWS().get_algorithm_by_name("HS256")
    signing_input = forged({"alg": "HS256", "kid": "RS256"}).removesuffix(".")
    mixed_up = base64.urlsafe_b64encode(hmac_key.sign(signing_input.encode(), public_pem)).decode().rstrip("=")
    bad["the public key as the secret"] = f"{signing_input}.{mixed_up}"
    async with provider(signer.published()) as issuer:
        settings = JwtSettings(SECRET, issuer.url, ISSUER, AUDIENCE)
        async with platform(database, settings) as at_work:
            assert (await at_work.ask("GET", "/projects", good)).status_code == 200
            for name, token in bad.items():
                assert (await at_work.ask("GET", "/projects", token)).status_code == 401, name


@pytest.mark.parametrize("algorithm", ["HS256", *PUBLIC])
async def test_a_source_that_is_not_set_lets_nobody_in(database: str, signer: Signer, algorithm: str) -> None:
    async with provider(signer.published()) as issuer:
        other = JwtSettings(jwks_url=issuer.url) if algorithm == "HS256" else JwtSettings(secret=SECRET)
        for settings in (None, other):
            async with platform(database, settings) as at_work:
                token = signer.sign(algorithm, claims(aud=None, iss=None))
                assert (await at_work.ask("GET", "/projects", token)).status_code == 401


async def test_without_an_audience_of_our_own_tokens_for_others_are_refused(database: str, signer: Signer) -> None:
    async with platform(database, JwtSettings(SECRET)) as at_work:
        assert (await at_work.ask("GET", "/projects", signer.sign("HS256", claims(aud=None)))).status_code == 200
        assert (await at_work.ask("GET", "/projects", signer.sign("HS256", claims()))).status_code == 401


async def principal(database: str, token: str) -> Principal:
    async with platform(database, SHARED) as at_work:
        return await Authenticator(at_work.core, SHARED).authenticate(token.encode(), bearer=True)


@pytest.mark.parametrize(
    ("more", "scopes"),
    [
        ({}, ORDINARY),
        ({"scope": "openid runs:read  profile"}, {Scope.RUNS_READ}),
        ({"scopes": ["runs:write", "agent-runs:events:append"]}, {Scope.RUNS_WRITE, Scope.EVENTS_APPEND}),
        ({"scopes": []}, set()),
        ({"scope": "openid"}, set()),
        ({"scopes": ["admin"]}, {Scope.ADMIN}),
        ({"admin": True}, {*ORDINARY, Scope.ADMIN}),
        ({"admin": True, "scopes": ["runs:read"]}, {Scope.RUNS_READ, Scope.ADMIN}),
        ({"admin": "true"}, ORDINARY),
        ({"admin": 1}, ORDINARY),
    ],
)
async def test_a_token_holds_its_scopes_only(
    database: str, signer: Signer, more: dict[str, object], scopes: set[Scope]
) -> None:
    found = await principal(database, signer.sign("HS256", claims(project_id=str(DEFAULT_PROJECT_ID), **more)))
    assert found == Principal("user-1", DEFAULT_PROJECT_ID, frozenset(scopes))


async def test_an_administrators_token_need_not_name_a_project(database: str, signer: Signer) -> None:
    found = await principal(database, signer.sign("HS256", claims(project_id=None, admin=True)))
    assert found.project_id == DEFAULT_PROJECT_ID


async def test_an_event_writer_may_append_to_its_run_and_nothing_else(database: str, signer: Signer) -> None:
    told: dict[str, object] = {
        "sub": None, "userId": "service-1", "actorType": "service_account", "tokenUse": "run_event_writer",
        "project_id": None, "projectId": str(DEFAULT_PROJECT_ID), "runId": "run-1",
    }  # fmt: skip
    for more in (told, told | {"scopes": ["agent-runs:events:append"]}, told | {"admin": True}):
        found = await principal(database, signer.sign("HS256", claims(**more)))
        assert (found.subject, found.project_id, found.run_id) == ("service-1", DEFAULT_PROJECT_ID, "run-1")
        assert found.scopes == {Scope.EVENTS_APPEND}
    reader = await principal(database, signer.sign("HS256", claims(**told, scopes=["runs:read", "admin"])))
    assert reader.scopes == frozenset()


async def test_an_event_writer_reaches_no_other_run(database: str, signer: Signer) -> None:
    async with platform(database, SHARED) as at_work:
        token = signer.sign("HS256", claims(run_id="run-1"))
        events = {"events": [{"type": "CUSTOM", "name": "n", "value": 1}]}
        for run_id, status in (("run-1", 404), ("run-2", 403)):
            path = f"/conversations/{DEFAULT_PROJECT_ID}/runs/{run_id}/events"
            assert (await at_work.ask("POST", path, token, json=events)).status_code == status
        for method, path in (("GET", "/runs/run-1"), ("POST", "/runs/run-1/cancel"), ("GET", "/projects")):
            assert (await at_work.ask(method, path, token)).status_code == 403


async def test_a_remembered_token_ends_when_it_expires(database: str, signer: Signer) -> None:
    async with platform(database, JwtSettings(SECRET, leeway_seconds=600)) as at_work:
        at_work.clock.now = int(time.time()) * 1000
        token = signer.sign("HS256", claims(iss=None, aud=None, exp=int(time.time()) + 2))
        assert (await at_work.ask("GET", "/projects", token)).status_code == 200
        await at_work.core.database.execute("UPDATE projects SET slug = 'renamed'")
        assert (await at_work.ask("GET", "/projects", token)).status_code == 200
        at_work.clock.now += 3_000
        assert (await at_work.ask("GET", "/projects", token)).status_code == 401


class Timer:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def test_keys_are_fetched_seldom(signer: Signer) -> None:
    async with provider(signer.published()) as issuer:
        timer = Timer()
        keys = JwksKeys(issuer.url, timer)
        for algorithm in PUBLIC * 3:
            assert (await keys.find(algorithm, algorithm)).key_id == algorithm
        for _ in range(5):
            with pytest.raises(NotAuthenticated):
                await keys.find("RS256", "made up")
        assert issuer.asked == 1
        timer.now += 11
        for _ in range(5):
            with pytest.raises(NotAuthenticated):
                await keys.find("RS256", "made up")
        assert issuer.asked == 2
        timer.now += 299
        await keys.find("RS256", "RS256")
        assert issuer.asked == 2
        timer.now += 1
        await keys.find("RS256", "RS256")
        assert issuer.asked == 3


async def test_a_new_key_is_found_and_an_old_one_forgotten(signer: Signer) -> None:
    async with provider(signer.published()) as issuer:
        timer = Timer()
        keys = JwksKeys(issuer.url, timer)
        await keys.find("RS256", "RS256")
        issuer.publish([{**key, "kid": f"new {key['kid']}"} for key in signer.published()])
        timer.now += 11
        assert (await keys.find("RS256", "new RS256")).key_id == "new RS256"
        with pytest.raises(NotAuthenticated):
            await keys.find("RS256", "RS256")


async def test_a_token_may_leave_out_the_only_keys_id(signer: Signer) -> None:
    async with provider(signer.published()) as issuer:
        keys = JwksKeys(issuer.url)
        assert (await keys.find("ES256", None)).key_id == "ES256"
        issuer.publish([*signer.published(), {**signer.published()[1], "kid": "second"}])
        ambiguous = JwksKeys(issuer.url)
        with pytest.raises(NotAuthenticated):
            await ambiguous.find("ES256", None)


async def test_keys_stay_good_while_the_provider_is_away(signer: Signer) -> None:
    async with provider(signer.published()) as issuer:
        timer = Timer()
        keys = JwksKeys(issuer.url, timer)
        await keys.find("RS256", "RS256")
        for body in (None, b"<html>", b"[]", b"{}", b'{"keys": 7}', b'{"keys": [{"kty": "RSA"}]}', b" " * 2_000_000):
            issuer.body = body
            timer.now += 400
            assert (await keys.find("RS256", "RS256")).key_id == "RS256", body


async def test_a_provider_that_never_answered_is_not_the_callers_fault(database: str, signer: Signer) -> None:
    async with provider(None) as issuer:
        with pytest.raises(Unavailable):
            await JwksKeys(issuer.url).find("RS256", "RS256")
        async with platform(database, JwtSettings(jwks_url=issuer.url)) as at_work:
            answer = await at_work.ask("GET", "/projects", signer.sign("RS256", claims()))
            assert answer.status_code == 503
    async with server(database) as core:
        with pytest.raises(ValueError, match="http or https"):
            Authenticator(core, JwtSettings(jwks_url="file:///etc/keys"))
