"""A run as a chat: what is said, what is asked, and what somebody answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import WAIT_MS, Dashboard

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]
expect.set_options(timeout=WAIT_MS)

AGENTS = Path(__file__).parent / "chat_agents.py"


def converse(dashboard: Dashboard, text: str) -> str:
    """Start an interactive run with the user's first words, and open it."""
    with dashboard.place.client() as client:
        made = client.post("/api/v1/agents", json={"interaction": "talker", "data": {"task": text}})
    run_id = str(made.raise_for_status().json()["id"])
    dashboard.open(f"runs/{run_id}")
    return run_id


def chat(dashboard: Dashboard) -> Locator:
    return dashboard.page.get_by_role("region", name="Chat")


def answers(dashboard: Dashboard) -> Locator:
    return chat(dashboard).locator("[data-role=assistant]")


def test_words_stream_in_and_the_next_message_is_sent(dashboard: Dashboard) -> None:
    gate = uuid4().hex
    converse(dashboard, f"wait {gate}")
    expect(chat(dashboard).locator("[data-role=user]")).to_have_text(f"wait {gate}")
    expect(answers(dashboard).locator("strong")).to_have_text("one")
    expect(answers(dashboard).locator("[data-open]")).to_have_count(1)
    box = dashboard.page.get_by_label("Next message")
    box.fill("first line")
    box.press("Shift+Enter")
    box.press_sequentially("second")
    box.press("Enter")
    expect(chat(dashboard).get_by_text("Comes after this turn")).to_be_visible()
    expect(box).to_have_value("")
    dashboard.place.let(gate)
    expect(answers(dashboard)).to_contain_text(["one two", "You said: first line second"])
    expect(answers(dashboard).locator("[data-open]")).to_have_count(0)
    expect(chat(dashboard).get_by_text("Comes after this turn")).to_have_count(0)
    assert dashboard.complaints == []


def test_a_turn_is_stopped_and_the_run_goes_on(dashboard: Dashboard) -> None:
    converse(dashboard, "wait for-ever")
    expect(answers(dashboard)).to_contain_text("one")
    dashboard.page.get_by_role("button", name="Stop the turn").click()
    expect(chat(dashboard).get_by_text("The turn was stopped")).to_be_visible()
    dashboard.page.get_by_label("Next message").fill("hello")
    dashboard.page.get_by_role("button", name="Send").click()
    expect(answers(dashboard).last).to_contain_text("You said: hello")
    assert dashboard.complaints == []


def test_a_call_is_approved_and_another_rejected_in_place(dashboard: Dashboard) -> None:
    converse(dashboard, "pay")
    call = chat(dashboard).get_by_role("region", name="Tool call pay")
    expect(call).to_contain_text("cents: 250")
    call.get_by_role("button", name="Approve").click()
    expect(answers(dashboard)).to_contain_text("It came back: paid 250")
    expect(call).to_contain_text("approved")
    dashboard.page.get_by_label("Next message").fill("pay")
    dashboard.page.get_by_label("Next message").press("Enter")
    call.nth(1).get_by_role("button", name="Reject").click()
    dashboard.page.get_by_label("Why not?").fill("too much")
    dashboard.page.get_by_label("Why not?").press("Enter")
    expect(answers(dashboard).last).to_contain_text("too much")
    expect(call.nth(1)).to_contain_text("rejected")
    assert dashboard.complaints == []


def test_the_result_of_a_clients_tool_is_given(dashboard: Dashboard) -> None:
    run_id = f"client-{uuid4().hex[:8]}"
    tool = {"name": "pick_color", "description": "Asks.", "parameters": {"type": "object", "properties": {}}}
    given: dict[str, Any] = {
        "messages": [{"role": "user", "content": "pick_color"}],
        "context": {"project_id": None, "branch_id": None},
        "tools": [tool],
    }
    body = {
        "kind": "agent", "owner": {"kind": "project", "id": "00000000-0000-4000-8000-000000000001"},
        "public_id": run_id, "request": {"mode": "agent", "agent_id": "talker", "input": given},
    }  # fmt: skip
    with dashboard.place.client() as client:
        client.post("/runs", json=body).raise_for_status()
    dashboard.open(f"runs/{run_id}")
    result = dashboard.page.get_by_label("Result of pick_color")
    result.fill("red")
    dashboard.page.get_by_role("button", name="Send result").click()
    expect(dashboard.page.get_by_text("The result must be JSON")).to_be_visible()
    result.fill('{"color": "red"}')
    dashboard.page.get_by_role("button", name="Send result").click()
    expect(answers(dashboard)).to_contain_text("It came back")
    expect(chat(dashboard).get_by_text("Completed")).to_be_visible()
    assert dashboard.complaints == []


def test_a_watched_run_goes_on_without_a_gap_after_the_server_was_killed(dashboard: Dashboard) -> None:
    run_id = f"watched-{uuid4().hex[:8]}"
    dashboard.place.create("gated", run_id)
    dashboard.open(f"runs/{run_id}")
    expect(answers(dashboard)).to_contain_text("attempt 1")
    dashboard.place.processes[-1].kill()
    expect(dashboard.page.get_by_text("The server is away")).to_be_visible()
    expect(answers(dashboard)).to_contain_text("attempt 1")
    dashboard.place.dev()
    expect(answers(dashboard)).to_have_text("attempt 2 ")
    back = chat(dashboard).locator("[data-taken-back]")
    expect(back).to_contain_text("its attempt was lost")
    dashboard.place.let(run_id)
    expect(answers(dashboard)).to_have_text("attempt 2 is done")
    expect(chat(dashboard).get_by_text("Completed")).to_be_visible()
    expect(back).to_have_count(1)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(dashboard: Dashboard, theme: str) -> None:
    dashboard.page.emulate_media(color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce")
    converse(dashboard, "pay")
    call = chat(dashboard).get_by_role("region", name="Tool call pay")
    expect(call.get_by_role("button", name="Approve")).to_be_visible()
    assert dashboard.violations() == []
    call.get_by_role("button", name="Approve").click()
    expect(answers(dashboard)).to_contain_text("It came back")
    call.get_by_role("button", expanded=False).click()
    expect(call).to_contain_text("Result")
    assert dashboard.violations() == []
