"""Takes the pictures of docs/img (`make pictures`): a shop's server, with real runs whose times are spread over a day.

It is a module of pytest for the sake of its fixtures; its name keeps it out of the tests.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.acceptance.processes import PROJECT, Site, eventually, site
from tests.browser import shop_script as said
from tests.store.harness import copied_database

HERE = Path(__file__)
pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]
FOLDER = HERE.parents[2] / "docs" / "img"
ENDED = ("completed", "failed", "cancelled")
HISTORY = (
    ("support", said.WHERE, ("web",)),
    ("advisor", said.BOOTS, ("web",)),
    ("returns", said.RETURN, ("email",)),
    ("advisor", said.STOVE, ("catalog",)),
    ("support", said.LATE, ("email",)),
)
WEIGHTS = (9, 6, 5, 4, 1)
DAY_MS = 86_400_000
REST_MS = 700
KEYS = (
    ("storefront", ["runs:read", "runs:write"]),
    ("warehouse", ["runs:read", "runs:write"]),
    ("nightly-export", ["runs:read"]),
    ("operations", ["runs:read", "runs:write", "admin"]),
)
SCHEDULES = (
    ("Daily sales report", "30 6 * * *", "task", "daily-report", "active"),
    ("Count the shelves of Bremen", "*/30 6-20 * * 1-6", "task", "sync-stock", "active"),
    ("Ship what is overdue", "15 */2 * * *", "workflow", "fulfil-order", "active"),
    ("Reindex the search", "0 3 * * 0", "task", "reindex-search", "paused"),
)
TRIGGERED = ("daily-report", "sync-stock")
OPENED = {
    "events": ("[data-event]:has-text('TOOL_CALL_ARGS')",),
    "timeline": ("[data-span=tool]:has-text('lookup_order')",),
    "artifacts": ("[data-artifact='out/sales-by-country.csv']",),
    "catalog": ("button[aria-label='Start fulfil-order']",),
}
"""What is clicked before a picture is taken."""
BEHIND = """
SELECT count(*) FROM run_head h LEFT JOIN run_projections p USING (project_id, run_id)
WHERE p.event_id IS DISTINCT FROM h.latest_event_id AND h.status IN ('completed', 'failed', 'cancelled')
"""
SHIFT = """
WITH moved AS (SELECT project_id, run_id, $2::bigint AS ms, $2::bigint * interval '1 millisecond' AS back
               FROM runs WHERE root_run_id = $1),
     wide AS (UPDATE runs r SET created_at = created_at - back, started_at = started_at - back,
                     updated_at = updated_at - back, completed_at = completed_at - back
              FROM moved m WHERE (r.project_id, r.run_id) = (m.project_id, m.run_id)),
     heads AS (UPDATE run_head h SET last_ts = last_ts - ms FROM moved m
               WHERE (h.project_id, h.run_id) = (m.project_id, m.run_id)),
     calls AS (UPDATE run_calls c SET at = at - back FROM moved m
               WHERE (c.project_id, c.run_id) = (m.project_id, m.run_id)),
     told AS (UPDATE run_projections p SET first_response_ts = first_response_ts - ms FROM moved m
              WHERE (p.project_id, p.run_id) = (m.project_id, m.run_id))
UPDATE run_events e SET first_ts = first_ts - ms FROM moved m
WHERE (e.project_id, e.run_id) = (m.project_id, m.run_id)
"""


Open = tuple[Site, dict[str, str]]
"""The server, and what is shown of it by its name: ids of runs, and the key to sign in with."""


class Shop:
    """The shop's runs, as its programs start them."""

    def __init__(self, place: Site, client: httpx.Client) -> None:
        self.place = place
        self.client = client
        self.keys = {name: self.key(name, scopes) for name, scopes in KEYS}

    def key(self, name: str, scopes: list[str]) -> str:
        """A new key of the project."""
        made = self.post(f"/projects/{PROJECT}/keys", {"name": name, "scopes": scopes})
        return str(made["key"])

    def post(self, path: str, body: dict[str, Any], by: str | None = None) -> dict[str, Any]:
        """What the server answers."""
        headers = {"Authorization": f"Bearer {self.keys[by]}"} if by else {}
        answer: dict[str, Any] = self.client.post(path, json=body, headers=headers).raise_for_status().json()
        return answer

    def ask(self, agent: str, task: str, tags: tuple[str, ...], *, interactive: bool = False) -> str:
        """A run of an agent."""
        body = {"interaction": agent, "data": {"task": task}, "tags": tags, "interactive": interactive}
        return str(self.post("/api/v1/agents", body, by="storefront")["id"])

    def say(self, run_id: str, message: str) -> None:
        """The next message to an interactive run."""
        self.post(f"/api/v1/agents/{run_id}/signal/UserInput", {"message": message}, by="storefront")

    def start(self, kind: str, target: str, given: dict[str, Any]) -> str:
        """A run of a workflow or a task."""
        what = {"workflow_id": target.partition(":")[2], "input": given} if kind == "workflow" else {"config": given}
        body = {"kind": kind, "owner": {"kind": "project", "id": PROJECT}, "request": {"target": target, **what}}
        return str(self.post("/runs", body, by="warehouse")["run"]["run_id"])

    def waits(self, run_id: str) -> str:
        """A run, as soon as it waits for somebody."""
        eventually(lambda: self.place.run(run_id)["status"] == "waiting", f"{run_id} waits")
        return run_id

    def says(self, run_id: str, text: str) -> None:
        """Wait until something stands in a run's log."""
        eventually(lambda: text in json.dumps(self.place.events(run_id), ensure_ascii=False), f"{run_id} says {text}")


def scheduled(shop: Shop) -> list[str]:
    """Schedules, and the runs of those that were triggered."""
    made = []
    for name, cron, kind, target, status in SCHEDULES:
        schedule = shop.post("/projects/default/schedules", {
            "name": name, "cron": cron, "time_zone": "Europe/Berlin", "target": {"kind": kind, "id": target},
            "status": status,
        }, by="warehouse")  # fmt: skip
        if target in TRIGGERED:
            body = {"run_name": name, "idempotency_key": name}
            path = f"/projects/default/schedules/{schedule['id']}/runs"
            made.append(str(shop.post(path, body, by="warehouse")["run_id"]))
    return made


def past(shop: Shop, chance: random.Random) -> list[str]:
    """Runs that have ended; the times come later."""
    made = [
        shop.ask(agent, task, tags)
        for agent, task, tags in chance.choices(HISTORY, WEIGHTS, k=60)
    ]  # fmt: skip
    for number in range(12):
        order = {"number": f"A-{1093 + number}", "sku": "RIDGE-2", "total": 289.0}
        made.append(shop.start("workflow", "workflow:fulfil-order", order))
    made += [shop.start("task", "task:sync-stock", {"warehouse": where}) for where in ("Bremen", "Lyon", "Bremen")]
    made += scheduled(shop)
    for run_id in made:
        shop.place.ended(run_id)
    return made


def present(shop: Shop) -> dict[str, str]:
    """What goes on now, by the name of what it shows."""
    report = shop.start("task", "task:daily-report", {"day": "2026-11-27"})
    shop.place.ended(report)
    shop.start("task", "task:reindex-search", {"articles": 48_000})
    shop.ask("support", said.ADDRESS, ("email",), interactive=True)
    order = shop.start("workflow", "workflow:fulfil-order", {"number": "A-1101", "sku": "RIDGE-4", "total": 748.0})
    shop.waits(order)
    done = shop.start("workflow", "workflow:fulfil-order", {"number": "A-1100", "sku": "TALUS-MID", "total": 219.0})
    shop.place.ended(done)
    chat = shop.ask("support", said.BROKEN_POLE, ("web",), interactive=True)
    shop.waits(chat)
    shop.say(chat, said.MONEY_BACK)
    shop.says(chat, '"refund"')
    shop.waits(chat)
    turn = next(str(one["event_id"]) for one in shop.place.events(chat) if "perdure.run.waiting" in str(one["payload"]))
    return {"chat": chat, "turn": turn, "report": report}


async def settle(dsn: str, runs: list[str], chance: random.Random) -> None:
    """Spread runs over the last day, as soon as everything that is derived from their logs is there."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("UPDATE projects SET name = 'Nordgrat Outdoor'")
        async with asyncio.timeout(60):
            while await connection.fetchval(BEHIND):  # noqa: ASYNC110 - other processes work on it
                await asyncio.sleep(0.1)
        for run_id in runs:
            back = int(DAY_MS * chance.uniform(0.01, 0.98))
            await connection.execute(SHIFT, run_id, back)
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def shop(postgres: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """A server, two workers, and what they have done."""
    chance = random.Random(7)
    with (
        copied_database(postgres, template) as dsn,
        site(tmp_path_factory.mktemp("shop"), HERE.with_name("shop.py"), PERDURE_DATABASE_URL=dsn,
             PYTHONPATH=str(HERE.parents[2])) as place,
    ):  # fmt: skip
        place.serve()
        place.worker()
        place.worker()
        with place.client() as client:
            made = Shop(place, client)
            asyncio.run(settle(dsn, past(made, chance), chance))
            runs = present(made)
        yield place, runs | {"key": made.keys["operations"]}


@pytest.fixture(scope="module")
def place(shop: Open) -> Site:
    """The server, for the browser's fixture."""
    return shop[0]


def named(route: Route) -> None:
    """The workers, on a machine whose name says nothing."""
    answer = route.fetch()
    route.fulfill(response=answer, body=answer.text().replace(socket.gethostname(), "worker-bremen"))


def shoot(page: Page, name: str, theme: str) -> None:
    """Take the picture, when nothing is loading any more and what moves has come to rest."""
    page.locator("h1").first.wait_for()
    expect(page.locator(".breathing.bg-sunken")).to_have_count(0)
    page.wait_for_timeout(REST_MS)
    said_aloud = page.locator("body").inner_text()
    assert "/tmp" not in said_aloud and socket.gethostname() not in said_aloud
    page.screenshot(path=FOLDER / f"{name}-{theme}.png")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_take_pictures(shop: Open, browser: Browser, theme: str) -> None:
    place, runs = shop
    FOLDER.mkdir(exist_ok=True)
    context = browser.new_context(
        viewport={"width": 1440, "height": 900}, reduced_motion="reduce", locale="en-GB", timezone_id="Europe/Berlin"
    )
    context.add_init_script(f"localStorage.setItem('perdure.theme', '{theme}')")
    page = context.new_page()
    page.route("**/workers", named)
    page.goto(f"{place.url}/ui/")
    shoot(page, "sign-in", theme)
    page.get_by_label("API key or token").fill(runs["key"])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Runs", exact=True).wait_for()
    for name, path in (
        ("runs", "runs"),
        *((tab, f"runs/{runs['chat']}/{tab}") for tab in ("chat", "events", "state", "json")),
        ("timeline", f"runs/{runs['chat']}/timeline?at={runs['turn']}"),
        ("logs", f"runs/{runs['report']}/logs"),
        ("artifacts", f"runs/{runs['report']}/artifacts"),
        *((one, one) for one in ("approvals", "workers", "schedules", "usage", "keys", "catalog")),
    ):
        page.goto(f"{place.url}/ui/{path}")
        for click in OPENED.get(name, ()):
            # While a log comes in, rows move away below the pointer.
            page.wait_for_timeout(REST_MS)
            page.locator(click).last.click()
        shoot(page, name, theme)
    context.close()
