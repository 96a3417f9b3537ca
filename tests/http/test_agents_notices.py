"""URLs that want to hear of the end of an agent run (vertesia.md section 6)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from perdure import App
from perdure.execution.end_notices import EndNotices
from perdure.services import end_notices
from tests.http.agents_at_work import AGENTS, Agents, agents_at_work
from tests.http.push_runtime import Runtime, open_to_loopback, runtime
from tests.http.runs_app import Api
from tests.store.harness import eventually


def make_app() -> App:
    app = App()

    @app.agent("quick")
    async def quick(run: Any) -> AsyncIterator[dict[str, Any]]:
        """Says what it is told to."""
        yield {"type": "RUN_FINISHED", "threadId": "t", "runId": run.run_id, "result": {"said": run.input["data"]}}

    return app


@pytest_asyncio.fixture
async def told(at_work: Api, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Agents, Runtime]]:
    monkeypatch.setattr(end_notices, "backoff_ms", lambda tries, chance: 1)
    core = open_to_loopback(at_work)
    notices = EndNotices(core)
    await notices.start()
    try:
        async with runtime() as listener, agents_at_work(at_work, make_app()) as agents:
            yield agents, listener
    finally:
        await notices.stop()
        await notices.stop()


async def test_each_url_is_told_of_the_end_once(told: tuple[Agents, Runtime]) -> None:
    agents, listener = told
    urls = [f"{listener.url}/one", f"{listener.url}/two"]
    await agents.start("quick", "other", interactive=False)
    run_id = await agents.start("quick", "go", interactive=False, notify_endpoints=urls)
    await eventually(lambda: len(listener.sent) == 2)
    assert sorted(sent.path for sent in listener.sent) == ["/one", "/two"]
    for sent in listener.sent:
        assert sent.body == {
            "workflowId": f"agent:{run_id}", "runId": run_id, "status": "completed",
            "result": {"said": {"task": "go"}},
        }  # fmt: skip


async def test_a_run_that_somebody_cancelled_is_told_too_and_its_restart_again(told: tuple[Agents, Runtime]) -> None:
    agents, listener = told
    listener.answers = [(500, None), (503, None), (429, None)]
    run_id = await agents.start("quick", notify_endpoints=[listener.url])
    await agents.waits(run_id)
    await agents.api.json("DELETE", f"{AGENTS}/{run_id}?reason=enough")
    await eventually(lambda: len(listener.sent) == 4)
    assert {sent.body["status"] for sent in listener.sent} == {"cancelled"}
    assert listener.sent[0].body["result"] == {"error": "enough"}
    await agents.api.json("POST", f"{AGENTS}/{run_id}/restart")
    await agents.waits(run_id)
    await agents.api.json("DELETE", f"{AGENTS}/{run_id}")
    await eventually(lambda: len(listener.sent) == 5)


async def test_it_is_tried_five_times_and_a_refusal_once(told: tuple[Agents, Runtime]) -> None:
    agents, listener = told
    listener.answers = [(502, None)] * 5
    await agents.start("quick", "go", interactive=False, notify_endpoints=[listener.url])
    await eventually(lambda: len(listener.sent) == 5)
    listener.answers = [(404, None)]
    await agents.start("quick", "go", interactive=False, notify_endpoints=[listener.url])
    await eventually(lambda: len(listener.sent) == 6)
    await agents.start("quick", "go", interactive=False, notify_endpoints=[f"{listener.url}/last"])
    await eventually(lambda: listener.sent[-1].path == "/last")
    assert len(listener.sent) == 7


async def test_addresses_of_the_inside_are_refused_at_creation(at_work: Api) -> None:
    for url in ("http://127.0.0.1:9/x", "ftp://example.com", "nonsense"):
        answer = await at_work.client.post(AGENTS, json={"interaction": "echo", "notify_endpoints": [url]})
        assert answer.status_code in (400, 403, 422), answer.text
    assert (await at_work.json("GET", AGENTS))["total_count"] == 0
