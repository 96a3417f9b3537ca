"""The client's calls: what is sent, what is repeated, and what an error tells. Only the wire is scripted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import httpx
import msgspec
import pytest

from perdure.client.errors import ApiError, UnexpectedAnswer, Unreachable
from perdure.client.models import Project, RunStatus
from perdure.client.projects import Projects
from perdure.client.retry import RetryPolicy
from perdure.client.runs import Runs
from perdure.client.transport import Call, Transport, http_client, url_of

Step = httpx.Response | Exception

PROJECT = "00000000-0000-4000-8000-000000000001"
RUN: dict[str, Any] = {
    "run_id": "0199",
    "kind": "agent",
    "status": "waiting",
    "owner": {"kind": "project", "id": PROJECT},
    "parent_run_id": None,
    "root_run_id": "0199",
    "waiting": {"reason": "approval", "calls": [{"tool_call_id": "c1", "tool_name": "send", "reason": "approval"}]},
    "created_at": "2026-01-02T03:04:05.678Z",
    "updated_at": "2026-01-02T03:04:06.000Z",
    "a_member_of_a_later_version": 1,
}


class Wire:
    """Answers each request with the next step, and remembers what was sent and how long was slept."""

    def __init__(self, *steps: Step, tries: int = 5) -> None:
        self.steps = list(steps)
        self.sent: list[httpx.Request] = []
        self.slept: list[float] = []
        http = http_client("http://server.test/base", "pd_key", 5, httpx.MockTransport(self._answer))
        self.transport = Transport(http, RetryPolicy(tries=tries), sleep=self._sleep, jitter=lambda: 1.0)
        self.projects = Projects(self.transport)
        self.runs = Runs(self.transport, self.projects)

    def body(self, index: int = -1) -> Any:
        return msgspec.json.decode(self.sent[index].content)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def problem(status: int, headers: dict[str, str] | None = None, /, **members: object) -> httpx.Response:
    body = msgspec.json.encode(members)
    return httpx.Response(status, headers={"content-type": "application/problem+json", **(headers or {})}, content=body)


def created(run: dict[str, Any] = RUN) -> httpx.Response:
    return httpx.Response(202, json={"accepted": True, "duplicate": False, "run": run})


async def failure(wire: Wire) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await wire.runs.get("0199")
    return caught.value


async def test_a_problem_becomes_an_error_with_its_members() -> None:
    answer = problem(
        404, {}, title="Run not found", status=404, detail="There is no run 0199.", code="run_not_found",
        request_id="r-1", pointer="/a",
    )  # fmt: skip
    error = await failure(Wire(answer))
    assert (error.status, error.code, error.detail) == (404, "run_not_found", "There is no run 0199.")
    assert (error.title, error.request_id, error.problem["pointer"]) == ("Run not found", "r-1", "/a")
    assert str(error) == "There is no run 0199. [404 run_not_found]"


@pytest.mark.parametrize(
    ("answer", "code", "detail"),
    [
        (httpx.Response(418, text="short and stout"), "http_418", "short and stout"),
        (httpx.Response(500, html="<h1>Oops</h1>"), "http_500", "HTTP 500 Internal Server Error"),
        (httpx.Response(404), "http_404", "HTTP 404 Not Found"),
        (httpx.Response(400, json={"detail": "", "error": "bad"}), "http_400", "bad"),
        (httpx.Response(400, json=["a list"]), "http_400", '["a list"]'),
        (httpx.Response(400, json={"detail": 7, "title": "Odd"}), "http_400", "Odd"),
        (httpx.Response(400, content=b"\xff\xfe"), "http_400", "\ufffd\ufffd"),
    ],
)
async def test_any_other_error_answer_is_told_as_it_is(answer: httpx.Response, code: str, detail: str) -> None:
    answer.headers["x-request-id"] = "r-2"
    error = await failure(Wire(answer))
    assert (error.code, error.detail, error.request_id) == (code, detail, "r-2")


async def test_a_run_is_read_with_its_times_and_open_calls() -> None:
    wire = Wire(httpx.Response(200, json=RUN))
    run = await wire.runs.get("a/b ?")
    assert (run.status, run.status.ended, RunStatus.FAILED.ended) == (RunStatus.WAITING, False, True)
    assert run.waiting is not None and run.waiting.calls[0].tool_name == "send"
    assert run.created_at.isoformat() == "2026-01-02T03:04:05.678000+00:00"
    assert wire.sent[0].url.raw_path == b"/base/runs/a%2Fb%20%3F"
    assert wire.sent[0].headers["authorization"] == "Bearer pd_key"


@pytest.mark.parametrize("answer", [{"no": "run"}, [], "text"])
async def test_an_answer_of_another_protocol_is_named_as_such(answer: object) -> None:
    with pytest.raises(UnexpectedAnswer, match=r"GET http://server\.test/base/runs/0199 answered 200"):
        await Wire(httpx.Response(200, json=answer)).runs.get("0199")


LOST = httpx.ReadError("connection lost")
NOT_SENT = httpx.ConnectError("connection refused")
BUSY = 503


def busy(status: int = BUSY, after: str | None = None) -> httpx.Response:
    return problem(status, {} if after is None else {"retry-after": after}, code="unavailable", detail="Not now.")


async def test_a_call_that_is_safe_to_repeat_is_repeated_with_growing_delays() -> None:
    wire = Wire(LOST, busy(), NOT_SENT, busy(502), httpx.Response(200, json=RUN))
    assert (await wire.runs.get("0199")).run_id == "0199"
    assert wire.slept == [0.25, 0.5, 1.0, 2.0]


async def test_the_server_may_say_how_long_to_wait() -> None:
    wire = Wire(busy(429, "7"), busy(after="Wed, 21 Oct 2026 07:28:00 GMT"), httpx.Response(200, json=RUN))
    await wire.runs.get("0199")
    assert wire.slept == [pytest.approx(7.1), 0.5]


async def test_after_the_last_try_the_error_is_told() -> None:
    wire = Wire(busy(), busy(), tries=2)
    assert (await failure(wire)).code == "unavailable"
    wire = Wire(LOST, NOT_SENT, tries=2)
    with pytest.raises(Unreachable, match=r"http://server\.test/base does not answer: connection refused"):
        await wire.runs.get("0199")
    assert wire.slept == [0.25]


Act = Callable[[Runs], Any]


@pytest.mark.parametrize("act", [lambda runs: runs.signal("0199", "go", {"n": 1}), lambda runs: runs.restart("0199")])
@pytest.mark.parametrize("step", [LOST, busy()])
async def test_what_would_happen_twice_is_not_repeated(act: Act, step: Step) -> None:
    wire = Wire(step)
    with pytest.raises((Unreachable, ApiError)):
        await act(wire.runs)
    assert wire.slept == []


@pytest.mark.parametrize("step", [NOT_SENT, busy(429)])
async def test_what_was_not_carried_out_is_repeated_always(step: Step) -> None:
    wire = Wire(step, httpx.Response(202, json={"accepted": True}))
    assert (await wire.runs.signal("0199", "go", [1])).accepted
    assert wire.body() == [1]
    assert wire.sent[1].url.path == "/base/runs/0199/signals/go"


async def test_a_repeated_create_is_the_same_create() -> None:
    wire = Wire(LOST, busy(), created())
    await wire.runs.create("demo", "Hello", project_id=PROJECT)
    keys = {request.headers["idempotency-key"] for request in wire.sent}
    assert len(keys) == 1 and len(keys.pop()) == 32
    assert wire.body(0) == wire.body(2) == {
        "kind": "agent",
        "owner": {"kind": "project", "id": PROJECT},
        "request": {
            "mode": "agent",
            "agent_id": "demo",
            "input": {
                "messages": [{"role": "user", "content": "Hello"}],
                "context": {"project_id": PROJECT, "branch_id": None},
            },
        },
    }  # fmt: skip


async def test_each_create_has_a_key_of_its_own_unless_one_is_given() -> None:
    wire = Wire(created(), created(), created())
    for key in (None, None, "mine"):
        await wire.runs.create("demo", "Hello", project_id=PROJECT, idempotency_key=key)
    first, second, third = (request.headers["idempotency-key"] for request in wire.sent)
    assert first != second and third == "mine"


async def test_create_says_all_that_it_is_told() -> None:
    wire = Wire(created(), created())
    messages = [{"role": "user", "parts": [{"type": "text", "text": "Hi"}]}]
    await wire.runs.create(
        "demo", messages, project_id=PROJECT, conversation="new", public_id="mine", parent_run_id="p",
        initial_status="running", input={"model": "m"},
    )  # fmt: skip
    body = wire.body()
    assert (body["public_id"], body["parent_run_id"], body["conversation_mode"]) == ("mine", "p", "create_new")
    assert body["request"]["initial_status"] == "running"
    assert (body["request"]["input"]["messages"], body["request"]["input"]["model"]) == (messages, "m")
    await wire.runs.create("demo", "Hi", project_id=PROJECT, conversation="c-1")
    assert (wire.body()["conversation_mode"], wire.body()["conversation_id"]) == ("existing", "c-1")


def projects(*slugs: str) -> httpx.Response:
    data = [{"id": slug * 2, "slug": slug, "name": slug, "created_at": RUN["created_at"]} for slug in slugs]
    page_info = {"self": None, "first": None, "next": None, "prev": None}
    return httpx.Response(200, json={"data": data, "page_info": page_info})


@pytest.mark.parametrize(("slugs", "own"), [(["mine"], "mine"), (["other", "default"], "default")])
async def test_ones_own_project_is_asked_for_once(slugs: Sequence[str], own: str) -> None:
    wire = Wire(projects(*slugs), created(), created())
    await wire.runs.create("demo", "Hello")
    await wire.runs.create("demo", "Hello")
    assert [request.method for request in wire.sent] == ["GET", "POST", "POST"]
    assert wire.body()["owner"]["id"] == own * 2
    assert (await wire.projects.own()).slug == own


async def test_lists_leave_out_what_is_not_asked() -> None:
    page = {"data": [RUN], "page_info": {"self": None, "first": None, "next": "c", "prev": None}}
    wire = Wire(httpx.Response(200, json=page), httpx.Response(200, json=page))
    first = await wire.runs.list(statuses=[RunStatus.WAITING, "running"], limit=5)
    assert (first.next, first.data[0].run_id) == ("c", "0199")
    assert dict(wire.sent[0].url.params) == {"status": "waiting,running", "limit": "5"}
    await wire.runs.list(project="other", parent_run_id="p", cursor="c")
    assert str(wire.sent[1].url) == "http://server.test/base/projects/other/runs?parent=p&cursor=c"


async def test_events_of_a_page() -> None:
    item = {"event_id": 4, "event_type": "CUSTOM", "payload": {"type": "CUSTOM"}, "created_at": RUN["created_at"]}
    wire = Wire(httpx.Response(200, json={"data": [item], "page_info": {"next": None}}))
    (event,) = await wire.runs.events("0199", after=3)
    assert (event.event_id, event.type, event.terminal) == (4, "CUSTOM", False)
    assert dict(wire.sent[0].url.params) == {"after_event_id": "3"}


async def test_a_local_server_is_asked_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.test:3128")
    for url, trusts in (("http://127.0.0.1:4000", False), ("http://localhost", False), ("http://far.test", True)):
        async with http_client(url, None, 5, None) as http:
            assert http.trust_env is trusts
            assert "authorization" not in http.headers


async def test_a_generic_call_reads_any_answer() -> None:
    wire = Wire(httpx.Response(200, json={"id": "i", "slug": "s", "name": "n", "created_at": RUN["created_at"]}))
    project = await wire.transport.call(Call("GET", url_of("projects", "s"), repeatable=True), Project)
    assert project.slug == "s"
