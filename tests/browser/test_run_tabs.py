"""The tabs of a run: what it did, what it said, its files, and the way back to any event of its log."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import expect

from tests.acceptance.processes import KEY, PROJECT
from tests.browser.conftest import WAIT_MS, Dashboard

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]
expect.set_options(timeout=WAIT_MS)

DROP = """() => {
    const dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    const bytes = Uint8Array.from(atob(dot), (letter) => letter.charCodeAt(0));
    const dropped = new DataTransfer();
    dropped.items.add(new File(['{"sheep": 3, "awake": false}'], "facts.json", {type: "application/json"}));
    dropped.items.add(new File([bytes], "dot.png", {type: "image/png"}));
    return dropped;
}"""
"""What somebody drags over the page: a JSON text, and a picture of one pixel."""


def new_id(what: str) -> str:
    return f"{what}-{uuid4().hex[:8]}"


def started(dashboard: Dashboard, kind: str, target: str, run_id: str, **given: object) -> None:
    """Start a workflow or a task."""
    request = {"target": target, **given, **({"workflow_id": target.partition(":")[2]} if kind == "workflow" else {})}
    body = {"kind": kind, "owner": {"kind": "project", "id": PROJECT}, "public_id": run_id, "request": request}
    with dashboard.place.client() as client:
        client.post("/runs", json=body).raise_for_status()


def told(dashboard: Dashboard, run_id: str) -> None:
    """Wait until the run's log is on the page to its end."""
    dashboard.place.ended(run_id)
    last = dashboard.place.events(run_id)[-1]["event_id"]
    expect(dashboard.page.get_by_label("Event", exact=True)).to_have_attribute(
        "aria-valuetext", re.compile(rf"^Event {last},")
    )


def counted(dashboard: Dashboard, what: str, tab: str) -> str:
    """The id of a run of the agent `counting` that has ended, with the page at one of its tabs."""
    run_id = new_id(what)
    dashboard.place.create("counting", run_id)
    dashboard.open(f"runs/{run_id}/{tab}")
    told(dashboard, run_id)
    return run_id


def again(dashboard: Dashboard, command: str) -> dict[str, Any]:
    """The run that a copied command starts, when it is pasted into a shell."""
    environment = {**os.environ, "PERDURE_API_KEY": KEY}
    done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, timeout=20, check=True)
    run_id: str = json.loads(done.stdout)["run"]["run_id"]
    return dashboard.place.run(run_id)


def test_the_page_goes_back_to_any_event_and_returns(dashboard: Dashboard) -> None:
    page, run_id = dashboard.page, counted(dashboard, "scrub", "state")
    state = page.get_by_role("region", name="State")
    expect(state).to_contain_text("count: 3")
    snapshot = next(one for one in dashboard.place.events(run_id) if one["payload"]["type"] == "STATE_SNAPSHOT")[
        "event_id"
    ]
    page.get_by_role("button", name=re.compile(rf"^{snapshot}\s*STATE_SNAPSHOT")).click()
    expect(page).to_have_url(re.compile(rf"[?&]at={snapshot}$"))
    expect(state).to_contain_text("count: 0")
    expect(page.locator("main header").first).to_contain_text("Running")
    page.keyboard.press("ArrowRight")
    expect(state).to_contain_text("count: 1")
    expect(page.get_by_label("Changes")).to_contain_text(re.compile(r"/count\s*- 0\s*\+ 1"))
    page.get_by_role("link", name="Events").click()
    expect(page.locator("[data-event]").last).to_have_attribute("data-event", str(snapshot + 1))
    page.get_by_role("link", name="JSON").click()
    expect(page.get_by_text('"running"')).to_be_visible()
    page.reload()
    expect(page.get_by_text('"running"')).to_be_visible()
    expect(page.get_by_role("link", name="JSON")).to_have_attribute("aria-current", "page")
    page.get_by_role("button", name="Go live").click()
    expect(page.get_by_text('"completed"')).to_be_visible()
    expect(page).not_to_have_url(re.compile("at="))
    assert dashboard.complaints == []


def test_a_timeline_shows_a_tool_call_with_its_result_and_a_child(dashboard: Dashboard) -> None:
    page, agent, parent = dashboard.page, new_id("calls"), new_id("parent")
    dashboard.place.create("calling", agent)
    dashboard.open(f"runs/{agent}/timeline")
    told(dashboard, agent)
    for kind in ("attempt", "model", "tool"):
        expect(page.locator(f"[data-span={kind}]").first).to_be_visible()
    page.locator("[data-span=tool]").click()
    panel = page.get_by_role("complementary", name="Details of weather")
    expect(panel).to_contain_text("Rome")
    expect(panel).to_contain_text("sunny in Rome")
    assert dashboard.violations() == []
    started(dashboard, "workflow", "workflow:parent", parent)
    dashboard.open(f"runs/{parent}/timeline")
    page.locator("[data-span=child]").click()
    child = page.get_by_label(re.compile("^Details of")).get_by_role("link").inner_text()
    assert dashboard.place.ended(child)["parent_run_id"] == parent
    page.get_by_role("button", name="1 child").click()
    page.get_by_role("dialog", name="Tree of runs").get_by_role("link", name=child).click()
    expect(page.get_by_role("heading", name=child)).to_be_visible()
    assert dashboard.complaints == []


def test_logs_tell_the_streams_apart_and_are_searched(dashboard: Dashboard) -> None:
    page, run_id = dashboard.page, new_id("logs")
    started(dashboard, "task", "task:talking", run_id, config={})
    dashboard.open(f"runs/{run_id}/logs")
    told(dashboard, run_id)
    expect(page.locator("[data-stream=stdout]", has_text="all is green")).to_be_visible()
    expect(page.locator("[data-stream=stderr]")).to_contain_text("look out")
    assert "\x1b" not in page.get_by_role("region", name="Logs").inner_text()
    assert dashboard.violations() == []
    page.get_by_label("Search in the logs").fill("look")
    expect(page.locator("[data-stream]")).to_have_count(1)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download").click()
    assert "all is green\n" in Path(saved.value.path()).read_text()
    assert dashboard.complaints == []


@pytest.mark.parametrize("kind", ["agent", "task"])
def test_a_file_comes_back_with_the_same_bytes(dashboard: Dashboard, tmp_path: Path, kind: str) -> None:
    page, run_id = dashboard.page, new_id("files")
    if kind == "agent":
        dashboard.place.create("counting", run_id)
    else:
        started(dashboard, "task", "task:talking", run_id, config={})
    dashboard.open(f"runs/{run_id}/artifacts")
    told(dashboard, run_id)
    content = b'name,what\n"a, b",1\n' + bytes(range(256))
    (tmp_path / "a table.csv").write_bytes(content)
    page.get_by_label("Files to upload").set_input_files(tmp_path / "a table.csv")
    expect(page.get_by_role("cell", name="a, b")).to_be_visible()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download").click()
    assert Path(saved.value.path()).read_bytes() == content
    (tmp_path / "empty.txt").touch()
    page.get_by_label("Files to upload").set_input_files(tmp_path / "empty.txt")
    expect(page.locator('[data-artifact="files/empty.txt"]')).to_contain_text("0 B")
    assert dashboard.violations() == []
    assert dashboard.complaints == []


def test_a_run_is_cancelled_forked_and_started_again_by_its_command(dashboard: Dashboard) -> None:
    page, run_id = dashboard.page, new_id("steered")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    dashboard.place.create("gated", run_id)
    dashboard.open(f"runs/{run_id}")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("main header").first).to_contain_text("Cancelled")
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Copy as curl").click()
    expect(page.get_by_text("Copied", exact=True)).to_be_visible()
    command = page.evaluate("navigator.clipboard.readText()")
    assert "$PERDURE_API_KEY" in command
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Fork").click()
    expect(page.get_by_role("heading", name=run_id)).to_be_hidden()
    fork = page.url.split("/runs/")[1].split("/")[0]
    dashboard.place.let(fork)
    assert dashboard.place.ended(fork)["status"] == "completed"
    assert again(dashboard, command)["agent_id"] == "gated"
    assert dashboard.complaints == []


def test_a_run_takes_a_signal_and_starts_again_from_its_beginning(dashboard: Dashboard) -> None:
    page, run_id = dashboard.page, new_id("listens")
    header = page.locator("main header").first
    started(dashboard, "workflow", "workflow:listening", run_id)
    dashboard.open(f"runs/{run_id}")
    expect(header).to_contain_text("Waiting")
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Send a signal").click()
    page.get_by_label("Name").fill("go")
    page.get_by_label("Value").fill("{sheep: 3}")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text("The value must be JSON")).to_be_visible()
    page.get_by_label("Value").fill('{"sheep": 3}')
    page.get_by_role("button", name="Send", exact=True).click()
    expect(header).to_contain_text("Completed")
    assert dashboard.place.run(run_id)["output"] == {"sheep": 3}
    header.get_by_role("button", name="Restart").click()
    expect(header).to_contain_text("Waiting")
    header.get_by_role("button", name="Cancel").click()
    expect(header).to_contain_text("Cancelled")
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Restart from the beginning").click()
    expect(header).to_contain_text("Waiting")
    assert dashboard.complaints == []


def test_keys_move_through_the_events(dashboard: Dashboard) -> None:
    page, run_id = dashboard.page, counted(dashboard, "keys", "events")
    second, third = [one["event_id"] for one in dashboard.place.events(run_id)[1:3]]
    page.keyboard.press("/")
    expect(page.get_by_label("Jump to event id")).to_be_focused()
    page.keyboard.type(str(third))
    page.keyboard.press("Enter")
    expect(page.get_by_label(f"Event {third}", exact=True)).to_be_visible()
    page.get_by_label("Jump to event id").blur()
    page.keyboard.press("k")
    page.keyboard.press("o")
    expect(page.get_by_label(f"Event {second}", exact=True)).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert dashboard.complaints == []


def test_dropped_files_are_kept_and_shown_for_what_they_are(dashboard: Dashboard) -> None:
    page = dashboard.page
    counted(dashboard, "drop", "artifacts")
    dropped = page.evaluate_handle(DROP)
    page.get_by_role("region", name="Artifacts").dispatch_event("drop", {"dataTransfer": dropped})
    expect(page.locator("[data-artifact]")).to_have_count(2)
    expect(page.get_by_role("progressbar")).to_have_count(0)
    page.locator('[data-artifact="files/facts.json"]').click()
    expect(page.get_by_role("region", name="files/facts.json")).to_contain_text(re.compile(r"sheep: 3.*awake: false"))
    page.locator('[data-artifact="files/dot.png"]').click()
    expect(page.get_by_role("img", name="files/dot.png")).to_have_js_property("naturalWidth", 1)
    assert dashboard.complaints == []


def test_a_file_that_a_run_replaces_is_shown_anew(dashboard: Dashboard) -> None:
    """Though its name and its size stay."""
    page, run_id = dashboard.page, new_id("replaced")
    dashboard.place.create("gated", run_id)
    dashboard.open(f"runs/{run_id}/artifacts")
    with dashboard.place.client() as client:
        for sheep in (3, 4):
            content = f'{{"sheep": {sheep}}}'.encode()
            client.put(f"/api/v1/agents/{run_id}/artifacts/facts.json", content=content).raise_for_status()
            page.locator('[data-artifact="facts.json"]').click()
            expect(page.get_by_role("region", name="facts.json")).to_contain_text(f"sheep: {sheep}")
    assert dashboard.complaints == []


def test_axe_finds_nothing_serious_in_a_runs_past_in_the_dark(dashboard: Dashboard) -> None:
    page, run_id = dashboard.page, new_id("dark")
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    dashboard.place.create("counting", run_id)
    dashboard.open(f"runs/{run_id}/state")
    told(dashboard, run_id)
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("button", name="Go live")).to_be_visible()
    for tab, shown in (
        ("State", page.get_by_label("Changes")),
        ("JSON", page.get_by_text('"running"')),
        ("Timeline", page.locator("[data-span]").first),
        ("Events", page.locator("[data-event]").first),
        ("Artifacts", page.get_by_role("heading", name="No artifacts")),
        ("Logs", page.get_by_role("heading", name="No logs")),
    ):
        page.get_by_role("navigation", name="Views of the run").get_by_role("link", name=tab).click()
        expect(shown).to_be_visible()
        assert dashboard.violations() == [], tab
    assert dashboard.complaints == []
