"""The dashboard in a real browser, against a real server: both are started once for the tests of a module."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from perdure.http.dashboard.build import read_build
from tests.acceptance.processes import KEY, Site, site
from tests.store.harness import copied_database

WAIT_MS = 20_000
AGENTS = Path(__file__).parent / "agents.py"
AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module")
def place(
    request: pytest.FixtureRequest, postgres: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A server with a worker inside, and the agents of the file that the module names as AGENTS."""
    assert read_build(), "These tests need the dashboard: make web"
    with (
        copied_database(postgres, template) as dsn,
        site(
            tmp_path_factory.mktemp("browser"),
            getattr(request.module, "AGENTS", AGENTS),
            PERDURE_DATABASE_URL=dsn,
        ) as made,
    ):
        made.dev()
        yield made


@pytest.fixture(scope="module")
def browser(place: Site) -> Iterator[Browser]:
    """Debian's Chromium, with a fresh profile. It comes after the server and goes before: it keeps an event loop."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("These tests need Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield started
        started.close()


@dataclass(frozen=True)
class Dashboard:
    """A tab that is signed in, and the server that it looks at. `complaints`: what the browser's console said."""

    page: Page
    place: Site
    complaints: list[str]

    def open(self, path: str = "") -> None:
        """Go to a path below /ui/, which is the list of runs itself."""
        self.page.goto(f"{self.place.url}/ui/{path}")

    def violations(self) -> list[str]:
        """What axe-core finds serious or critical on the page as it is."""
        # Through the debugger, not as an element: the page's Content-Security-Policy allows no foreign script.
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        # A theme that was just chosen is drawn with the next frames; between them colours of both stand side by side.
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        found = self.page.evaluate("axe.run({resultTypes: ['violations']})")
        return [
            f"{one['id']}: {node['html']}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]


@pytest.fixture
def dashboard(browser: Browser, place: Site) -> Iterator[Dashboard]:
    """A new tab in a profile of its own, which holds a key and has opened no page yet."""
    context = browser.new_context(viewport={"width": 1360, "height": 820}, reduced_motion="reduce")
    context.set_default_timeout(WAIT_MS)
    context.add_init_script(holding(KEY))
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield Dashboard(page, place, complaints)
    context.close()


def holding(key: str) -> str:
    """A script for new pages: a tab holds the key as it does after signing in, until it signs out."""
    return f"""if (location.protocol === 'http:' && window.name !== '{key}') {{
        window.name = '{key}';
        sessionStorage.setItem('perdure.credential', '{key}');
    }}"""
