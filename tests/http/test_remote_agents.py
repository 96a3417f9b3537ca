"""Agents that are AG-UI endpoints elsewhere: a real one on loopback, which answers as a test tells it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest

from perdure import App
from perdure.services.egress import Egress
from tests.http.ag_ui_endpoint import FINISHED, STARTED, Cut, Endpoint, called, endpoint, said
from tests.http.agents_at_work import Agents, agents_at_work
from tests.http.runs_app import PROJECT, Api
from tests.store.harness import WAIT_SECONDS

TOOLS = [{"name": "ask_user", "description": "Asks.", "parameters": {"type": "object"}}]


@dataclass
class Site:
    """An endpoint, and workers that serve it as the agent `remote`."""

    api: Api
    endpoint: Endpoint
    stack: AsyncExitStack
    work: Agents
    app: App

    async def start(self, text: str = "hello", agent: str = "remote", **more: object) -> str:
        """The id of a new run."""
        context = {"project_id": None, "branch_id": None}
        given = {"messages": [{"id": "u1", "role": "user", "content": text}], "context": context, **more}
        body = {"kind": "agent", "owner": {"kind": "project", "id": str(PROJECT)}, "public_id": f"r-{uuid4()}"}
        made = await self.api.json(
            "POST", "/runs", {**body, "request": {"mode": "agent", "agent_id": agent, "input": given}}
        )
        return str(made["run"]["run_id"])

    async def ended(self, **more: Any) -> tuple[str, dict[str, Any]]:
        """A new run, as soon as it has ended."""
        run_id = await self.start(**more)
        return run_id, await self.work.ends(run_id)

    async def texts(self, run_id: str) -> dict[str, str]:
        """What the run says, by message, without what was taken back."""
        found: dict[str, str] = {}
        for event in await self.work.events(run_id):
            if event["type"] == "TEXT_MESSAGE_CONTENT":
                found[event["messageId"]] = found.get(event["messageId"], "") + event["delta"]
            elif event.get("name") == "perdure.message.superseded":
                found.pop(event["value"]["messageId"], None)
        return found


@asynccontextmanager
async def site(
    at_work: Api, *answers: int | list[Any], allow: tuple[str, ...] = ("127.0.0.0/8",), **more: Any
) -> AsyncIterator[Site]:
    at_work.core = replace(at_work.core, egress=Egress(allow))
    async with endpoint(*answers) as there, AsyncExitStack() as stack:
        app = App()
        app.agent("remote", url=f"{there.url}/agent", headers={"X-Secret": "s3cret"}, **more)
        work = await stack.enter_async_context(agents_at_work(at_work, app))
        yield Site(at_work, there, stack, work, app)


async def test_a_stream_is_recorded_and_the_agent_is_asked_as_ag_ui_says(at_work: Api) -> None:
    result = {"type": "TOOL_CALL_RESULT", "messageId": "x", "toolCallId": "c1", "content": "seen"}
    state = [{"type": "STATE_SNAPSHOT", "snapshot": {"n": 1}}, {"type": "STEP_STARTED", "stepName": "s"}]
    answer = [STARTED, *state, *called("c1", "look", "m1"), result, *said("m2", "he", "llo"), {"type": "NOT_YET_KNOWN"}]
    async with site(at_work, [*answer, {**FINISHED, "result": {"done": True}}]) as at:
        run_id, run = await at.ended(forwarded_props={"a": 1})
        assert (run["status"], run["output"]) == ("completed", {"done": True})
        assert await at.texts(run_id) == {"m2": "hello"}
        asked = at.endpoint.asked[0]
        assert [(message["role"], message["content"]) for message in asked["messages"]] == [("user", "hello")]
        assert (asked["forwardedProps"], asked["threadId"]) == ({"a": 1}, run["conversation_id"])
        assert at.endpoint.headers[0]["x-secret"] == "s3cret"
        types = [event["type"] for event in await at.work.events(run_id)]
        assert types.count("RUN_STARTED") == types.count("RUN_FINISHED") == types.count("STEP_FINISHED") == 1


async def test_a_broken_stream_goes_on_after_the_last_complete_message(at_work: Api) -> None:
    first = [STARTED, *said("m1", "whole"), *said("m2", "half", end=False), Cut()]
    async with site(at_work, first, [STARTED, *said("m2", "both halves"), FINISHED]) as at:
        run_id, run = await at.ended()
        assert run["status"] == "completed"
        assert list((await at.texts(run_id)).values()) == ["whole", "both halves"]
        again = [(message["role"], message["content"]) for message in at.endpoint.asked[1]["messages"]]
        assert again == [("user", "hello"), ("assistant", "whole")]
        taken_back = await at.work.customs(run_id, "perdure.message.superseded")
        assert [one["messageId"] for one in taken_back] == ["m2"]


async def test_another_worker_goes_on_after_the_last_complete_message(at_work: Api) -> None:
    app_hold = asyncio.Event()
    first = [STARTED, *said("m1", "whole"), *said("m2", "half", end=False), app_hold]
    async with site(at_work, first, [STARTED, *said("m3", "rest"), FINISHED]) as at:
        run_id = await at.start()
        await _says(at, run_id, "half")
        await at.work.worker.stop()
        await asyncio.wait_for(at.endpoint.gone.wait(), WAIT_SECONDS)
        again = await at.stack.enter_async_context(agents_at_work(at_work, at.app))
        assert (await again.ends(run_id))["status"] == "completed"
        assert await at.texts(run_id) == {"m1": "whole", "m3": "rest"}
        assert [message["content"] for message in at.endpoint.asked[1]["messages"]] == ["hello", "whole"]


async def test_an_agent_that_repeats_its_run_is_heard_once(at_work: Api) -> None:
    whole = [STARTED, *said("m1", "one"), *said("m2", "two")]
    async with site(at_work, [*whole[:-1], Cut()], [*whole, FINISHED]) as at:
        run_id, _ = await at.ended()
        assert list((await at.texts(run_id)).values()) == ["one", "two"]
        assert at.endpoint.asked[0]["runId"] == at.endpoint.asked[1]["runId"]


async def test_a_call_of_a_client_tool_parks_the_run_and_its_result_goes_on(at_work: Api) -> None:
    finished = {**FINISHED, "outcome": {"type": "success", "pendingToolCallIds": ["c1"]}}
    async with site(
        at_work, [STARTED, *called("c1", "ask_user", "m1"), finished], [STARTED, *said("m2", "ok"), FINISHED]
    ) as at:
        run_id = await at.start(tools=TOOLS)
        await at.work.waits(run_id, "tool")
        await at.api.json(
            "POST", f"/runs/{run_id}/resume", {"type": "tool_result", "tool_call_id": "c1", "result": "because"}
        )
        assert (await at.work.ends(run_id))["status"] == "completed"
        asked = at.endpoint.asked[1]
        assert [tool["name"] for tool in asked["tools"]] == ["ask_user"]
        assert asked["messages"][1]["toolCalls"][0]["function"] == {"name": "ask_user", "arguments": '{"what": 1}'}
        assert (asked["messages"][2]["toolCallId"], asked["messages"][2]["content"]) == ("c1", "because")
        assert asked["runId"] != at.endpoint.asked[0]["runId"]


async def test_an_interrupt_parks_the_run_and_its_answer_resumes_it(at_work: Api) -> None:
    interrupt = {"id": "i1", "reason": "confirmation", "message": "Sure?"}
    finished = {**FINISHED, "outcome": {"type": "interrupt", "interrupts": [interrupt]}}
    async with site(at_work, [STARTED, *said("m1", "Sure?"), finished], [STARTED, *said("m2", "ok"), FINISHED]) as at:
        run_id = await at.start()
        await at.work.waits(run_id, "approval")
        assert (await at.work.customs(run_id, "perdure.agent.interrupt"))[0]["message"] == "Sure?"
        await at.api.json(
            "POST", f"/runs/{run_id}/resume", {"type": "approval", "tool_call_id": "i1", "approved": True}
        )
        assert (await at.work.ends(run_id))["status"] == "completed"
        resume = at.endpoint.asked[1]["resume"]
        assert [(one["interruptId"], one["status"], one["payload"]["approved"]) for one in resume] == [
            ("i1", "resolved", True)
        ]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ([STARTED, b"data: {no json\n\n"], "INVALID_EVENT"),
        ([STARTED, b"data: [1]\n\n"], "INVALID_EVENT"),
        ([STARTED, {"type": "TEXT_MESSAGE_START"}], "INVALID_EVENT"),
        ([STARTED, {"type": "TEXT_MESSAGE_END", "messageId": "none"}], "INVALID_EVENT"),
        ([STARTED, b"data: " + b"x" * 3_000_000], "REMOTE_TOO_LARGE"),
        ([STARTED, {"type": "RUN_ERROR", "message": "I cannot", "code": "MINE"}], "MINE"),
        ([STARTED, {**FINISHED, "outcome": {"type": "cancelled"}}], "REMOTE_CANCELLED"),
        (403, "REMOTE_REFUSED"),
    ],
)
async def test_what_is_no_ag_ui_fails_the_run(at_work: Api, answer: int | list[Any], code: str) -> None:
    async with site(at_work, answer) as at:
        _, run = await at.ended()
        assert (run["status"], run["error"]["code"]) == ("failed", code)
        assert len(at.endpoint.asked) == 1


async def test_an_agent_that_is_busy_or_silent_is_asked_again(at_work: Api) -> None:
    silent = [STARTED, *said("m1", "half", end=False), asyncio.Event()]
    async with site(at_work, 503, silent, [STARTED, *said("m1", "whole"), FINISHED], idle_seconds=0.3) as at:
        run_id, run = await at.ended()
        assert run["status"] == "completed"
        assert list((await at.texts(run_id)).values()) == ["whole"]
        assert len(at.endpoint.asked) == 3


async def test_a_cancel_closes_the_connection(at_work: Api) -> None:
    async with site(at_work, [STARTED, *said("m1", "half", end=False), asyncio.Event()]) as at:
        run_id = await at.start()
        await _says(at, run_id, "half")
        await at.api.json("POST", f"/runs/{run_id}/cancel")
        assert (await at.work.ends(run_id))["status"] == "cancelled"
        await asyncio.wait_for(at.endpoint.gone.wait(), WAIT_SECONDS)


async def test_an_address_that_is_not_open_is_not_called(at_work: Api) -> None:
    async with site(at_work, [STARTED, FINISHED], allow=()) as at:
        _, run = await at.ended()
        assert (run["status"], run["error"]["code"]) == ("failed", "egress_refused")
        assert at.endpoint.asked == []


async def test_a_stored_agent_is_served_by_any_worker_and_its_headers_are_never_shown(at_work: Api) -> None:
    path = "/projects/default/remote-agents"
    await at_work.problem("PUT", f"{path}/far", 400, json={"url": "http://127.0.0.1:9/agent"})
    at_work.core = at_work.app.state.core = replace(at_work.core, egress=Egress(("127.0.0.0/8",)))
    async with site(at_work, [STARTED, *said("m1", "far away"), FINISHED]) as at:
        url = f"{at.endpoint.url}/agent"
        body = {"url": url, "headers": {"Authorization": "Bearer t0p"}, "description": "Far."}
        made = await at_work.json("PUT", f"{path}/far", body)
        assert (made["url"], made["header_names"]) == (url, ["Authorization"])
        listed = await at_work.client.get(path)
        assert [one["name"] for one in listed.json()["agents"]] == ["far"]
        assert "t0p" not in listed.text
        run_id = await at.start(agent="far")
        assert (await at.work.ends(run_id))["status"] == "completed"
        assert await at.texts(run_id) == {"m1": "far away"}
        assert at.endpoint.headers[0]["authorization"] == "Bearer t0p"
        assert (await at_work.client.delete(f"{path}/far")).status_code == 204
        await at_work.problem("DELETE", f"{path}/far", 404)
        with pytest.raises(AssertionError, match="agent_not_found"):
            await at.start(agent="far")


async def test_another_projects_agents_are_not_there(at_work: Api) -> None:
    at_work.app.state.core = replace(at_work.core, egress=Egress(("127.0.0.0/8",)))
    await at_work.json("POST", "/projects", {"slug": "other", "name": "Other"})
    await at_work.json("PUT", "/projects/other/remote-agents/far", {"url": "http://127.0.0.1:9/agent"})
    headers = {"Authorization": f"Bearer {await at_work.new_key()}"}
    await at_work.problem("GET", "/projects/other/remote-agents", 404, headers=headers)
    assert (await at_work.json("GET", "/projects/default/remote-agents"))["agents"] == []
    context = {"project_id": None, "branch_id": None}
    given = {"messages": [{"role": "user", "content": "hello"}], "context": context}
    body = {"kind": "agent", "owner": {"kind": "project", "id": str(PROJECT)}}
    refused = {**body, "request": {"mode": "agent", "agent_id": "far", "input": given}}
    assert (await at_work.problem("POST", "/runs", 404, json=refused))["code"] == "agent_not_found"


def test_what_cannot_be_registered() -> None:
    with pytest.raises(ValueError, match="http"):
        App().agent("x", url="ftp://example.org")


async def _says(at: Site, run_id: str, text: str) -> None:
    """Return when the run has said so."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            if text in (await at.texts(run_id)).values():
                return
            await asyncio.sleep(0.01)
