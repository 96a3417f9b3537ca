"""The application on a database, and what signs tokens for it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from perdure.http.application import create_app
from perdure.services.authentication import Authenticator
from perdure.services.core import Core
from perdure.services.health import Health
from perdure.services.keys import ensure_bootstrap_key
from perdure.services.projects import ensure_default_project
from perdure.services.tokens import JwtSettings
from tests.store.harness import ManualClock, server

ADMIN_KEY = "the first key of all"
SECRET = "a secret of thirty-two bytes, or more"
ISSUER = "https://issuer.example"
AUDIENCE = "perdure"


@dataclass
class Platform:
    """A server process with its routes, and a client for them."""

    core: Core
    client: httpx.AsyncClient
    clock: ManualClock

    async def ask(self, method: str, path: str, key: str | None = ADMIN_KEY, **more: Any) -> httpx.Response:
        """A request with a key or token."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return await self.client.request(method, path, headers=headers, **more)

    async def new_key(self, *, ref: str = "default", **body: object) -> str:
        """A new key of a project."""
        made = await self.ask("POST", f"/projects/{ref}/keys", json={"name": "test", **body})
        assert made.status_code == 201, made.text
        return str(made.json()["key"])

    async def new_project(self, slug: str) -> str:
        """The id of a new project."""
        made = await self.ask("POST", "/projects", json={"slug": slug})
        assert made.status_code == 201, made.text
        return str(made.json()["id"])


@asynccontextmanager
async def platform(dsn: str, tokens: JwtSettings | None = None, *, max_lag_ms: int = 60_000) -> AsyncIterator[Platform]:
    """A server process whose clock stands still, with the default project and a bootstrap key."""
    clock = ManualClock()
    async with server(dsn, clock=clock) as core:
        project = await ensure_default_project(core)
        await ensure_bootstrap_key(core, project.id, ADMIN_KEY)
        watch = Health(core, max_lag_ms=max_lag_ms)
        await watch.start()
        app = create_app(core, Authenticator(core, tokens), watch)
        try:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
                yield Platform(core, client, clock)
        finally:
            await watch.stop()


class Signer:
    """Keys of each kind, and what a provider publishes of them."""

    @cached_property
    def rsa_key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @cached_property
    def ec_key(self) -> ec.EllipticCurvePrivateKey:
        return ec.generate_private_key(ec.SECP256R1())

    @cached_property
    def ed_key(self) -> ed25519.Ed25519PrivateKey:
        return ed25519.Ed25519PrivateKey.generate()

    def sign(self, algorithm: str, claims: Mapping[str, object], **headers: str) -> str:
        """A token; `kid` is the algorithm unless it is given."""
        key: Any = {"HS256": SECRET, "RS256": self.rsa_key, "ES256": self.ec_key, "EdDSA": self.ed_key}[algorithm]
        return jwt.encode(dict(claims), key, algorithm, headers={"kid": algorithm, **headers})

    def published(self) -> list[dict[str, Any]]:
        """The public keys as a JWKS has them, and one that is not for signatures."""
        made = {
            "RS256": RSAAlgorithm.to_jwk(self.rsa_key.public_key(), as_dict=True),
            "ES256": ECAlgorithm.to_jwk(self.ec_key.public_key(), as_dict=True),
            "EdDSA": OKPAlgorithm.to_jwk(self.ed_key.public_key(), as_dict=True),
        }
        secret = {"kty": "oct", "k": "c2VjcmV0", "kid": "shared", "alg": "HS256"}
        return [{**key, "kid": algorithm, "alg": algorithm, "use": "sig"} for algorithm, key in made.items()] + [secret]


@dataclass
class Provider:
    """An identity provider's JWKS over HTTP on loopback. `body` None: it answers 503."""

    url: str = ""
    body: bytes | None = None
    asked: int = 0
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    def publish(self, published: list[dict[str, Any]]) -> None:
        """These are the keys from now on."""
        self.body = json.dumps({"keys": published}).encode()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        status, body = ("503 Unavailable", b"") if self.body is None else ("200 OK", self.body)
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def provider(published: list[dict[str, Any]] | None) -> AsyncIterator[Provider]:
    """A provider that publishes these keys; None: it is out of order."""
    one = Provider()
    if published is not None:
        one.publish(published)
    listening = await asyncio.start_server(one.answer, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()[:2]
    one.url = f"http://{host}:{port}/jwks.json"
    async with listening:
        yield one


def claims(**more: object) -> dict[str, object]:
    """Claims of a good token, of the default project; one that is None is left out."""
    known: dict[str, object] = {
        "sub": "user-1",
        "project_id": "default",
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": int(time.time()) + 60,
        **more,
    }
    return {name: value for name, value in known.items() if value is not None}
