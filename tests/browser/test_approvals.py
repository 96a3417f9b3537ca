"""What waits for a person, across all runs, and how it is answered."""

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
FIELDS: list[dict[str, Any]] = [
    {"type": "text", "name": "who", "label": "Who?", "required": True, "minLength": 2, "pattern": "[a-z]+"},
    {"type": "number", "name": "age", "label": "Age", "min": 1, "max": 99},
    {"type": "select", "name": "tea", "label": "Tea", "options": [{"value": "g", "label": "Green"}]},
    {"type": "radio", "name": "milk", "label": "Milk", "options": [{"value": "y", "label": "A little"}]},
    {"type": "checkbox", "name": "hot", "label": "Hot"},
    {"type": "confirm", "name": "sure", "label": "Sure?", "required": True, "denyLabel": "Not at all"},
    {"type": "email", "name": "mail", "label": "Mail"},
    {"type": "password", "name": "word", "label": "Word"},
]


def start(dashboard: Dashboard, task: str) -> str:
    """The id of a run of the agent that obeys."""
    with dashboard.place.client() as client:
        made = client.post("/api/v1/agents", json={"interaction": "talker", "data": {"task": task}})
        return str(made.raise_for_status().json()["id"])


def ask(dashboard: Dashboard, title: str) -> str:
    """The path of an input request of a run at work."""
    run_id = start(dashboard, "wait for-ever")
    conversation = dashboard.place.run(run_id)["conversation_id"]
    path = f"/conversations/{conversation}/input-requests"
    body = {"run_id": run_id, "tool_call_id": "c1", "kind": "form", "title": title, "fields": FIELDS}
    with dashboard.place.client() as client:
        return f"{path}/{client.post(path, json=body).raise_for_status().json()['id']}"


def waits(dashboard: Dashboard) -> Locator:
    return dashboard.page.locator("[data-question]")


def test_calls_appear_by_themselves_and_keys_answer_them(dashboard: Dashboard) -> None:
    dashboard.open("approvals")
    expect(dashboard.page.get_by_text("Nothing waits for you")).to_be_visible()
    first = start(dashboard, "pay")
    expect(waits(dashboard)).to_have_count(1)
    second = start(dashboard, "pay")
    expect(waits(dashboard)).to_have_count(2)
    expect(dashboard.page.get_by_role("link", name="Approvals")).to_contain_text("2")
    expect(waits(dashboard).first).to_contain_text("cents: 250")
    one = dashboard.page.locator(f"[data-question^='{first} ']")
    expect(one).to_have_attribute("aria-current", "true")
    dashboard.page.keyboard.press("a")
    expect(one).to_have_count(0)
    other = dashboard.page.locator(f"[data-question^='{second} ']")
    expect(other).to_have_attribute("aria-current", "true")
    dashboard.page.keyboard.press("r")
    dashboard.page.get_by_label("Why not?").fill("too much")
    dashboard.page.get_by_role("button", name="Reject the call").click()
    expect(other).to_have_count(0)
    said = {run: str(dashboard.place.events(run)) for run in (first, second)}
    assert "'approved': True" in said[first]
    assert "'approved': False, 'message': 'too much'" in said[second]
    assert dashboard.complaints == []


def test_a_form_is_checked_and_answered(dashboard: Dashboard) -> None:
    title = f"Tea {uuid4().hex[:8]}"
    path = ask(dashboard, title)
    dashboard.open("approvals")
    form = dashboard.page.get_by_role("article", name=title)
    form.get_by_label("Who?").fill("A")
    form.get_by_label("Age").fill("100")
    form.get_by_label("Mail").fill("nowhere")
    form.get_by_role("button", name="Send answer").click()
    expect(form.get_by_role("alert")).to_have_count(4)
    form.get_by_label("Who?").fill("ann")
    form.get_by_label("Age").fill("7")
    form.get_by_label("Tea").select_option("Green")
    form.get_by_label("A little").check()
    form.get_by_label("Hot").check()
    form.get_by_role("button", name="Not at all").click()
    form.get_by_label("Mail").fill("ann@example.com")
    form.get_by_label("Word").fill("hush")
    form.get_by_role("button", name="Send answer").click()
    expect(form).to_have_count(0)
    with dashboard.place.client() as client:
        asked = client.get(path).raise_for_status().json()
    assert asked["latest_response"]["values"] == {
        "who": "ann", "age": 7, "tea": "g", "milk": "y", "hot": True, "sure": False,
        "mail": "ann@example.com", "word": "hush",
    }  # fmt: skip
    dashboard.open(f"runs/{asked['run_id']}")
    settled = dashboard.page.get_by_role("region", name=title)
    expect(settled).to_contain_text("submitted")
    expect(settled).to_contain_text("word: null")
    assert dashboard.complaints == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(dashboard: Dashboard, theme: str) -> None:
    dashboard.page.emulate_media(color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce")
    start(dashboard, "pay")
    title = f"Tea {theme}"
    ask(dashboard, title)
    dashboard.open("approvals")
    form = dashboard.page.get_by_role("article", name=title)
    form.get_by_role("button", name="Send answer").click()
    expect(form.get_by_role("alert")).to_have_count(2)
    expect(dashboard.page.get_by_role("button", name="Approve").first).to_be_visible()
    assert dashboard.violations() == []
