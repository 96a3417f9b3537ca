"""The list of runs, and a run with its log, as a person sees them."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, expect

from tests.acceptance.processes import KEY, Site
from tests.browser.conftest import WAIT_MS, Dashboard

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]
expect.set_options(timeout=WAIT_MS)

MOST_BYTES = 300_000
"""What the files of the first page may weigh, compressed."""
FILES = """() => performance.getEntries()
    .filter((one) => "encodedBodySize" in one && one.name.includes("/ui/"))
    .map((one) => one.encodedBodySize)"""


def test_the_first_page_is_light(browser: Browser, place: Site) -> None:
    with browser.new_context() as profile:
        page = profile.new_page()
        page.goto(f"{place.url}/")
        page.get_by_label("API key or token").fill(KEY)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
        weights = page.evaluate(FILES)
    assert len(weights) > 5
    assert 50_000 < sum(weights) <= MOST_BYTES, weights


def test_new_runs_and_changes_appear_by_themselves(dashboard: Dashboard) -> None:
    run_id = f"live-{uuid4().hex[:8]}"
    dashboard.open()
    dashboard.place.create("gated", run_id)
    row = dashboard.page.locator(f"[data-run={run_id}]")
    expect(row).to_contain_text("Running")
    dashboard.place.let(run_id)
    expect(row).to_contain_text("Completed")
    dashboard.page.get_by_role("button", name="Status").click()
    dashboard.page.get_by_role("menuitemcheckbox", name="failed").click()
    expect(dashboard.page).to_have_url(re.compile(r"\?status=failed$"))
    expect(row).to_have_count(0)
    dashboard.page.keyboard.press("Escape")
    dashboard.page.reload()
    expect(dashboard.page.get_by_role("heading", name="No run fits")).to_be_visible()
    assert dashboard.complaints == []


def test_a_runs_events_stream_in_and_go_on_after_the_server_was_away(dashboard: Dashboard) -> None:
    run_id = f"watched-{uuid4().hex[:8]}"
    dashboard.place.create("gated", run_id)
    dashboard.open(f"runs/{run_id}/events")
    expect(dashboard.page.locator("[data-event]", has_text="before")).to_be_visible()
    dashboard.place.processes[-1].kill()
    expect(dashboard.page.get_by_text("The server is away")).to_be_visible()
    dashboard.place.dev()
    expect(dashboard.page.get_by_text("The server is away")).to_be_hidden()
    dashboard.place.let(run_id)
    expect(dashboard.page.locator("[data-event]", has_text="RUN_FINISHED")).to_be_visible()
    shown = dashboard.page.locator("[data-event]").evaluate_all("rows => rows.map(row => Number(row.dataset.event))")
    assert sorted(shown) == [event["event_id"] for event in dashboard.place.events(run_id)], "no gap and no duplicate"
    expect(dashboard.page.locator("main header")).to_contain_text("Completed")


def test_the_selected_runs_are_cancelled_together(dashboard: Dashboard) -> None:
    names = [f"bulk-{uuid4().hex[:8]}" for _ in range(2)]
    dashboard.open()
    for name in names:
        dashboard.place.create("gated", name)
        dashboard.page.get_by_label(f"Select {name}").check()
    dashboard.page.get_by_role("button", name="Cancel 2 runs").click()
    dashboard.page.get_by_role("dialog").get_by_role("button", name="Cancel", exact=True).click()
    for name in names:
        expect(dashboard.page.locator(f"[data-run={name}]")).to_contain_text("Cancelled")
    assert dashboard.complaints == []


def test_keys_move_through_the_runs_and_open_one(dashboard: Dashboard) -> None:
    page, names = dashboard.page, [f"keys-{uuid4().hex[:8]}" for _ in range(2)]
    dashboard.open()
    for name in names:
        dashboard.place.create("gated", name)
        expect(page.locator(f"[data-run={name}]")).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_label("Search runs of agents")).to_be_focused()
    page.keyboard.press("Tab")
    for key in "jx":
        page.keyboard.press(key)
    expect(page.get_by_label(f"Select {names[1]}")).to_be_checked()
    for key in "jkjo":
        page.keyboard.press(key)
    expect(page.get_by_role("heading", name=names[0])).to_be_visible()
    assert dashboard.complaints == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(dashboard: Dashboard, theme: str) -> None:
    run_id = f"axe-{uuid4().hex[:8]}"
    dashboard.place.create("gated", run_id)
    dashboard.place.let(run_id)
    dashboard.page.emulate_media(color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce")
    dashboard.open()
    expect(dashboard.page.locator(f"[data-run={run_id}]")).to_contain_text("Completed")
    assert dashboard.violations() == []
    dashboard.page.get_by_role("link", name=run_id).click()
    dashboard.page.get_by_role("link", name="Events").click()
    dashboard.page.locator("[data-event]").first.click()
    expect(dashboard.page.get_by_label(re.compile(r"^Event \d+$"))).to_be_visible()
    assert dashboard.violations() == []
    dashboard.page.keyboard.press("?")
    expect(dashboard.page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    assert dashboard.violations() == []


def test_who_may_only_look_presses_nothing_that_would_be_refused(dashboard: Dashboard) -> None:
    run_id = f"looked-at-{uuid4().hex[:8]}"
    dashboard.place.create("gated", run_id)
    with dashboard.place.client() as client:
        key = client.post("/keys", json={"name": "reader", "scopes": ["runs:read"]}).raise_for_status().json()["key"]
    page = dashboard.page
    dashboard.open()
    page.evaluate("sessionStorage.clear()")
    dashboard.open(f"runs/{run_id}/chat")
    page.get_by_label("API key or token").fill(key)
    page.get_by_role("button", name="Sign in").click()
    cancel = page.get_by_role("button", name="Cancel", exact=True)
    expect(cancel).to_have_attribute("aria-disabled", "true")
    cancel.hover()
    expect(page.get_by_role("tooltip")).to_contain_text("it does not hold runs:write")
    cancel.click(force=True)
    page.get_by_role("button", name="More actions").click()
    expect(page.get_by_role("menuitem", name="Cancel with all below")).to_be_disabled()
    expect(page.get_by_role("menuitem", name="Copy as curl")).to_be_enabled()
    page.keyboard.press("Escape")
    dashboard.open("catalog")
    expect(page.get_by_role("button", name="Start gated")).to_have_attribute("aria-disabled", "true")
    dashboard.place.let(run_id)
    assert dashboard.place.ended(run_id)["status"] == "completed"
    assert dashboard.complaints == []
