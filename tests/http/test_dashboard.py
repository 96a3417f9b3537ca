"""The dashboard's files, and the sign-in of the link that `perdure dev` prints."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from perdure.http.application import create_app
from perdure.http.dashboard.build import read_build
from perdure.http.dashboard.routes import CONTENT_SECURITY_POLICY, Dashboard
from perdure.http.dashboard.sign_in import VALID_MS, OneTimeSignIn
from perdure.services.authentication import Authenticator
from perdure.services.health import Health
from tests.http.runs_app import Api

KEY = "pd_dashboard_key"
HERE = {"Host": "127.0.0.1:4000", "Origin": "http://127.0.0.1:4000"}


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A build as Vite leaves it."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>Perdure</title>")
    (tmp_path / "assets" / "a-1.js").write_text("let a = 1;")
    (tmp_path / "assets" / "a-1.js.gz").write_bytes(gzip.compress(b"let a = 1;"))
    return tmp_path


@asynccontextmanager
async def browser(
    api: Api, folder: Path, sign_in: OneTimeSignIn | None = None, peer: str = "127.0.0.1"
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application with this build, at an address."""
    core = api.core
    app = create_app(core, Authenticator(core), Health(core, max_lag_ms=60_000), None, sign_in)
    kept = [route for route in app.router.routes if not getattr(route, "path", "").startswith("/ui")]
    app.router.routes[:] = [*Dashboard(sign_in, read_build(folder)).routes(), *kept]
    transport = httpx.ASGITransport(app=app, client=(peer, 5_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:4000") as client:
        yield client


async def test_the_root_leads_to_the_page_and_every_path_below_is_the_page(at_work: Api, build: Path) -> None:
    async with browser(at_work, build) as client:
        assert (await client.get("/")).headers["location"] == "/ui/"
        for path in ("/ui/", "/ui/runs", "/ui/runs/one%2Ftwo/events", "/ui/runs/v1.2/events"):
            page = await client.get(path)
            assert (page.status_code, page.headers["content-security-policy"]) == (200, CONTENT_SECURITY_POLICY), path
            assert page.headers["cache-control"] == "no-cache" and "Perdure" in page.text
        assert (await client.get("/runs")).status_code == 401, "the API stays where it was"
        known = {"If-None-Match": (await client.get("/ui/")).headers["etag"]}
        assert (await client.get("/ui/runs", headers=known)).status_code == 304


async def test_files_are_kept_for_ever_and_sent_compressed_to_who_takes_that(at_work: Api, build: Path) -> None:
    async with browser(at_work, build) as client:
        for accepted, coding in (("gzip, br", "gzip"), ("gzip;q=0", None), ("identity", None)):
            file = await client.get("/ui/assets/a-1.js", headers={"Accept-Encoding": accepted})
            assert (file.text, file.headers.get("content-encoding")) == ("let a = 1;", coding)
            assert "immutable" in file.headers["cache-control"]
            assert file.headers["content-type"].startswith("text/javascript")
        assert (await client.get("/ui/assets/b-2.js")).status_code == 404, "never the page in place of a script"


async def test_without_a_build_the_root_says_how_to_make_one(at_work: Api, tmp_path: Path) -> None:
    async with browser(at_work, tmp_path) as client:
        answer = await client.get("/")
        assert answer.status_code == 200 and "make web" in answer.text
        assert (await client.get("/ui/runs")).status_code == 404
        assert (await client.get("/livez")).status_code == 200


async def test_a_code_gives_the_key_once(at_work: Api, build: Path) -> None:
    door = OneTimeSignIn(KEY, Clock())
    async with browser(at_work, build, door) as client:
        body = {"code": door.issue()}
        assert (await client.post("/ui/sign-in", json={"code": "guess"}, headers=HERE)).status_code == 401
        first = await client.post("/ui/sign-in", json=body, headers=HERE)
        assert (first.status_code, first.json(), first.headers["cache-control"]) == (200, {"key": KEY}, "no-store")
        assert (await client.post("/ui/sign-in", json=body, headers=HERE)).status_code == 401


async def test_a_code_ends_after_minutes_and_with_the_next(at_work: Api, build: Path) -> None:
    clock = Clock()
    door = OneTimeSignIn(KEY, clock)
    async with browser(at_work, build, door) as client:
        old, new = door.issue(), door.issue()
        assert (await client.post("/ui/sign-in", json={"code": old}, headers=HERE)).status_code == 401
        clock.now += VALID_MS + 1
        assert (await client.post("/ui/sign-in", json={"code": new}, headers=HERE)).status_code == 401


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("10.0.0.7", HERE),
        ("127.0.0.1", {**HERE, "X-Forwarded-For": "127.0.0.1"}),
        ("127.0.0.1", {"Host": "evil.example:4000", "Origin": "http://evil.example:4000"}),
        ("127.0.0.1", {**HERE, "Origin": "https://evil.example"}),
    ],
    ids=["another machine", "through a proxy", "a rebound name", "another site"],
)
async def test_a_code_is_for_a_browser_on_this_machine(
    at_work: Api, build: Path, peer: str, headers: dict[str, str]
) -> None:
    door = OneTimeSignIn(KEY, Clock())
    code = door.issue()
    async with browser(at_work, build, door, peer) as client:
        assert (await client.post("/ui/sign-in", json={"code": code}, headers=headers)).status_code == 401
    assert door.redeem(code) == KEY, "a refused request does not use it up"


async def test_a_server_that_is_not_for_development_signs_nobody_in(at_work: Api, build: Path) -> None:
    async with browser(at_work, build) as client:
        assert (await client.post("/ui/sign-in", json={"code": "x"}, headers=HERE)).status_code == 401
