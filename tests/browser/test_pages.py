"""The pages around the runs: catalog, search, activity, workers, schedules, usage and keys."""

from __future__ import annotations

import re
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import expect

from tests.acceptance.processes import PROJECT, eventually
from tests.browser.conftest import WAIT_MS, Dashboard, holding

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]
expect.set_options(timeout=WAIT_MS)

WIDER = """() => [document.documentElement, ...document.querySelectorAll("body *")]
    .filter((one) => one.scrollWidth > one.clientWidth && one.clientWidth > 0)
    .filter((one) => one === document.documentElement || ["auto", "scroll"].includes(getComputedStyle(one).overflowX))
    .map((one) => one.ariaLabel ?? one.className)"""
"""The names of everything that can be scrolled sideways."""
RUN_URL = re.compile(r"/ui/runs/([0-9a-f]{24})(/|$)")


def test_a_run_is_started_from_the_form_of_its_input_and_arrives_in_the_list(dashboard: Dashboard) -> None:
    page = dashboard.page
    dashboard.open()
    page.get_by_role("table", name="Runs").or_(page.get_by_role("heading", name="No runs yet")).wait_for()
    other = page.context.new_page()
    other.goto(f"{dashboard.place.url}/ui/catalog")
    other.get_by_role("button", name="Start onboard").click()
    other.get_by_label("Name", exact=True).fill("Ada")
    other.get_by_label("Plan", exact=True).select_option("team")
    expect(other.get_by_label("Seats (optional)")).to_have_value("1")
    other.get_by_label("Seats (optional)").fill("3")
    other.get_by_role("dialog").get_by_role("button", name="Start", exact=True).click()
    expect(other).to_have_url(RUN_URL)
    found = RUN_URL.search(other.url)
    assert found
    row = page.locator(f"[data-run='{found[1]}']")
    expect(row).to_contain_text("Completed")
    expect(row).to_contain_text("workflow:onboard")
    assert dashboard.place.run(found[1])["output"] == "Ada has 3 seats of team"
    assert dashboard.complaints == []


def test_a_message_to_an_agent_is_found_by_the_search(dashboard: Dashboard) -> None:
    page, word = dashboard.page, f"w{uuid4().hex[:10]}"
    dashboard.open("catalog")
    page.get_by_role("button", name="Start gated").click()
    page.get_by_label("Message").fill(f"Remember {word}")
    page.get_by_role("dialog").get_by_role("button", name="Start", exact=True).click()
    expect(page).to_have_url(RUN_URL)
    found = RUN_URL.search(page.url)
    assert found
    page.get_by_role("link", name="Runs", exact=True).click()
    page.get_by_label("Search runs of agents").fill(word)
    expect(page).to_have_url(re.compile(f"q={word}$"))
    dashboard.place.let(found[1])
    expect(page.locator("[data-run]")).to_have_count(1)
    expect(page.locator(f"[data-run='{found[1]}']")).to_contain_text("Completed")


def test_the_activity_narrows_the_list_down(dashboard: Dashboard) -> None:
    page, run_id = dashboard.page, f"bar-{uuid4().hex[:8]}"
    dashboard.place.create("gated", run_id)
    dashboard.place.let(run_id)
    dashboard.open()
    chart = page.get_by_role("group", name="Activity")
    chart.locator("[data-runs]:not([data-runs='0'])").last.click()
    expect(page).to_have_url(re.compile(r"since=.+&until="))
    expect(page.locator(f"[data-run={run_id}]")).to_be_visible()
    page.get_by_role("button", name="Clear", exact=True).click()
    chart.locator("[data-runs='0']").first.click()
    expect(page.get_by_role("heading", name="No run fits")).to_be_visible()
    assert dashboard.complaints == []


def test_workers_show_what_they_hold(dashboard: Dashboard) -> None:
    page, run_id = dashboard.page, f"held-{uuid4().hex[:8]}"
    dashboard.place.create("gated", run_id)
    dashboard.open("workers")
    card = page.locator("[data-worker]", has=page.get_by_role("link", name=run_id))
    expect(card).to_contain_text("agent:gated")
    expect(card).to_contain_text("Alive")
    dashboard.place.let(run_id)
    expect(page.get_by_role("link", name=run_id)).to_have_count(0)


def test_a_schedule_is_made_triggered_paused_and_deleted(dashboard: Dashboard) -> None:
    page, name = dashboard.page, f"daily-{uuid4().hex[:6]}"
    dashboard.open("schedules")
    page.get_by_role("button", name="New schedule").first.click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("What it starts").select_option("workflow:onboard")
    page.get_by_label("Cron expression").fill("nonsense")
    expect(page.get_by_role("dialog").get_by_role("status")).to_contain_text("no cron expression")
    page.get_by_label("Cron expression").fill("30 7 1 1 *")
    page.get_by_label("Time zone").select_option("Asia/Tokyo")
    expect(page.get_by_role("dialog").get_by_role("status")).to_contain_text("Fires next")
    page.get_by_label("Input (optional)").fill('{"name": "Eve", "plan": "free"}')
    page.get_by_role("button", name="Save").click()
    row = page.get_by_role("row", name=name)
    expect(row).to_contain_text("Active")
    expect(row).to_contain_text("Asia/Tokyo")
    page.get_by_role("button", name=f"Trigger {name} now").click()
    expect(page.get_by_text(f"Started a run of {name}").first).to_be_visible()
    with dashboard.place.client() as client:
        eventually(
            lambda: any(
                run["schedule_id"] is not None and run["status"] == "completed"
                for run in client.get("/runs", params={"kind": "workflow"}).json()["data"]
            ),
            "the run that was triggered completes",
        )
    page.get_by_role("button", name=f"Pause {name}").click()
    expect(row).to_contain_text("Paused")
    page.get_by_role("button", name=f"More of {name}").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)
    assert dashboard.complaints == []


def test_the_schedules_fit_on_a_phone(dashboard: Dashboard) -> None:
    page, name = dashboard.page, f"narrow-{uuid4().hex[:6]}"
    page.set_viewport_size({"width": 390, "height": 844})
    body = {"name": name, "cron": "0 0 1 1 *", "target": {"kind": "workflow", "id": "onboard"}}
    with dashboard.place.client() as client:
        client.post(f"/projects/{PROJECT}/schedules", json=body).raise_for_status()
    dashboard.open("schedules")
    expect(page.get_by_role("row", name=name)).to_be_visible()
    assert page.evaluate(WIDER) == ["Schedules"], "the table scrolls, the page does not"
    assert dashboard.complaints == []


def test_usage_tells_the_runs_and_tokens_of_an_agent(dashboard: Dashboard) -> None:
    page, place = dashboard.page, dashboard.place
    run_ids = [f"usage-{n}-{uuid4().hex[:8]}" for n in range(3)]
    other = f"usage-other-{uuid4().hex[:8]}"
    for run_id in (other, *run_ids):
        place.create("counting" if run_id == other else "calling", run_id)
        place.ended(run_id)
    tiles = page.locator("dl > div")
    completed, tokens = (tiles.filter(has_text=name).locator("dd") for name in ("Completed", "Tokens"))

    def known() -> list[int]:
        with place.client() as client:
            told = client.get(f"/projects/{PROJECT}/runs/usage", params={"run_id": run_ids}).json()["data"]
        return [one["input_tokens"] + one["output_tokens"] for one in told if one["input_tokens"] is not None]

    def counted() -> bool:
        dashboard.open("usage?agent=calling")
        expect(completed).to_be_visible()
        return completed.inner_text() == str(len(run_ids))

    eventually(lambda: len(known()) == len(run_ids), "the tokens of all are read from their logs")
    eventually(counted, "the last run is counted")
    used = sum(known())
    assert used > 0
    expect(tokens).to_have_text(str(used))
    page.get_by_label("Agent", exact=True).select_option("")
    expect(page).not_to_have_url(re.compile("agent="))
    expect(completed).not_to_have_text(str(len(run_ids)))
    assert dashboard.complaints == []


def test_a_key_is_shown_once_and_revoked(dashboard: Dashboard) -> None:
    page, name = dashboard.page, f"robot-{uuid4().hex[:6]}"
    dashboard.open("keys")
    page.get_by_role("button", name="New key").click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create").click()
    key = page.get_by_role("region", name="Key", exact=True).inner_text()
    runs, held = f"{dashboard.place.url}/runs", {"Authorization": f"Bearer {key}"}
    assert httpx.get(runs, headers=held).status_code == 200
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_text(key)).to_have_count(0)
    page.get_by_role("button", name=f"Revoke {name}").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("row", name=name)).to_contain_text("Revoked")
    assert httpx.get(runs, headers=held).status_code == 401
    assert dashboard.complaints == []


def test_keys_are_for_administrators(dashboard: Dashboard) -> None:
    with dashboard.place.client() as client:
        made = client.post(f"/projects/{PROJECT}/keys", json={"name": "reader", "scopes": ["runs:read"]})
    dashboard.page.add_init_script(holding(made.json()["key"]))
    dashboard.open("keys")
    expect(dashboard.page.get_by_role("heading", name="For administrators")).to_be_visible()
    expect(dashboard.page.get_by_role("link", name="Keys", exact=True)).to_have_count(0)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(dashboard: Dashboard, theme: str) -> None:
    page = dashboard.page
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce")
    for path, shown in (
        ("catalog", page.get_by_role("button", name="Start onboard")),
        ("workers", page.locator("[data-worker]")),
        ("schedules", page.get_by_role("button", name="New schedule").first),
        ("usage", page.locator("canvas").first),
        ("keys", page.get_by_role("table")),
    ):
        dashboard.open(path)
        expect(shown).to_be_visible()
        assert dashboard.violations() == []
        if path in ("catalog", "schedules"):
            shown.click()
            expect(page.get_by_role("dialog")).to_be_visible()
            assert dashboard.violations() == []
    assert dashboard.complaints == []
