"""What the seeds' routes answer, in every state of a run, against the schemas that the seeds give.

Seeds 001 and 002 (POST /runs) give the whole schema: seed_create_run.json. Seeds 000 (start) and 003 (append) give an
envelope and an example of the projection within; which of its members may be null, and the words of its status, are
from veryfront.md 0 and 1.4. Nothing here looks at Perdure's own schemas.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any
from uuid import uuid4

import httpx
import pytest
from jsonschema_rs import Draft202012Validator

from perdure.domain.ids import RunKey
from perdure.domain.run import Park, PendingCall, Waiting, WaitingReason
from perdure.services import lifecycle
from tests.http.runs_app import PROJECT, Api, agent_run
from tests.http.seed_schema import Schema, modern, seed_accepted
from tests.http.test_agent_runs import INPUT
from tests.http.test_runs import BODIES

UUID: Schema = {"type": "string", "format": "uuid"}
TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}


def closed_form(properties: dict[str, Schema]) -> Schema:
    """An object with all of these members; others are allowed, as in the seeds."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


PROJECTION = closed_form(
    {
        "run_id": {"type": "string", "minLength": 1},
        "conversation_id": UUID,
        "message_id": UUID,
        "agent_id": TEXT,
        "status": {"enum": ["pending", "running", "waiting_for_tool", "completed", "failed", "cancelled"]},
        "latest_event_id": COUNT,
        "latest_external_event_sequence": COUNT,
        "created_at": TEXT,
        "waiting_tool_call_id": or_null({"type": "string", "minLength": 1}),
        **{
            name: or_null(UUID)
            for name in (
                "project_id", "source_target_environment_id", "source_target_branch_id",
                "runtime_target_environment_id", "runtime_target_branch_id", "parent_conversation_id",
                "spawned_from_message_id", "input_anchor_message_id", "handoff_message_id", "resolved_deployment_id",
            )
        },
        **{
            name: or_null(TEXT)
            for name in (
                "requested_by_user_id", "runtime_target_kind", "source_target_kind", "parent_run_id",
                "spawned_from_tool_call_id", "waiting_tool_name", "terminal_error_code", "terminal_error_message",
                "started_at", "finished_at",
            )
        },
    }
)  # fmt: skip

ACCEPTED = Draft202012Validator(modern(seed_accepted()), validate_formats=True)
CANONICAL = Draft202012Validator(modern(seed_accepted())["properties"]["run"], validate_formats=True)
PROJECTED = Draft202012Validator(PROJECTION, validate_formats=True)
STARTED = Draft202012Validator(
    closed_form({"accepted": {"type": "boolean"}, "duplicate": {"type": "boolean"}, "run": PROJECTION}),
    validate_formats=True,
)
APPENDED = Draft202012Validator(
    closed_form(
        {
            "run": PROJECTION,
            "latest_event_id": COUNT,
            "appended_count": COUNT,
            "latest_external_event_sequence": COUNT,
        }
    ),
    validate_formats=True,
)

EVENTS = [{"type": "RUN_STARTED"}, {"type": "CUSTOM", "name": "n", "value": 1}]

Move = Callable[[Api, RunKey], Coroutine[Any, Any, None]]


def completing(**body: object) -> Move:
    async def move(at_work: Api, key: RunKey) -> None:
        await at_work.json("POST", f"/runs/{key.run_id}/complete", body)

    return move


def parking(reason: WaitingReason) -> Move:
    async def move(at_work: Api, key: RunKey) -> None:
        calls = () if reason is WaitingReason.EVENT else (PendingCall("call", "look", reason),)
        await lifecycle.apply(at_work.core, key, Park(Waiting(reason, calls), None))

    return move


async def cancelling(at_work: Api, key: RunKey) -> None:
    await at_work.json("POST", f"/runs/{key.run_id}/cancel")


async def staying(at_work: Api, key: RunKey) -> None:
    """Leave the run as it was made."""


METADATA = {"provider": "p", "model": "m", "inputTokens": 1, "outputTokens": 2, "finishReason": "stop"}
FAILURE = {"terminal_error_code": "STREAM_ERROR", "terminal_error_message": "The model went away."}
MOVES: dict[str, tuple[str, Move]] = {
    "pending": ("pending", staying),
    "running": ("running", staying),
    "waiting for a tool": ("waiting", parking(WaitingReason.TOOL)),
    "waiting for an approval": ("waiting", parking(WaitingReason.APPROVAL)),
    "waiting for an input": ("waiting", parking(WaitingReason.INPUT)),
    "waiting for an event": ("waiting", parking(WaitingReason.EVENT)),
    "completed": ("completed", completing(status="completed", metadata=METADATA)),
    "completed without a word": ("completed", completing(status="completed")),
    "failed": ("failed", completing(status="failed", **FAILURE)),
    "failed without a word": ("failed", completing(status="failed")),
    "cancelled": ("cancelled", cancelling),
    "cancelled by its executor": ("cancelled", completing(status="cancelled")),
}
"""How a run comes into each state: its canonical status there, and the way."""

ENDED = ("completed", "failed", "cancelled")

in_every_state = pytest.mark.parametrize("state", MOVES)


class Made:
    """A run in a state, and the body that made it."""

    def __init__(self, body: dict[str, Any], answer: dict[str, Any]) -> None:
        self.body = body
        self.run_id = str(answer["run"]["run_id"])
        self.path = f"/conversations/{answer['conversation_id']}/runs/{self.run_id}"
        self.start = f"/conversations/{answer['conversation_id']}/agent-runs/{self.run_id}/start"


async def made_in(at_work: Api, state: str, *, events: bool = False) -> Made:
    """A new run, with two events if they are wanted, taken to a state."""
    first = "pending" if state == "pending" else "running"
    body = agent_run(public_id=f"run-{uuid4()}", agent_id="echo", initial_status=first)
    answer = good(await at_work.client.post("/runs", json=body), 202)
    ACCEPTED.validate(answer)
    assert (answer["accepted"], answer["duplicate"], answer["run"]["status"]) == (True, False, first)
    made = Made(body, answer)
    if events:
        await at_work.json("POST", f"{made.path}/events", {"events": EVENTS})
    await MOVES[state][1](at_work, RunKey(PROJECT, answer["run"]["run_id"]))
    return made


def good(answer: httpx.Response, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body: dict[str, Any] = answer.json()
    return body


def consistent(run: dict[str, Any], status: str) -> None:
    """What the words of a projection say together (veryfront.md 0.5, 1.4, 3.3)."""
    PROJECTED.validate(run)
    assert run["status"] == ("waiting_for_tool" if status == "waiting" else status)
    assert (run["finished_at"] is not None) is (status in ENDED)
    assert status in ENDED or run["terminal_error_code"] is run["terminal_error_message"] is None
    if status != "waiting":
        assert run["waiting_tool_call_id"] is run["waiting_tool_name"] is None


@in_every_state
async def test_create_and_its_duplicate(at_work: Api, state: str) -> None:
    """Seeds 001 and 002."""
    made = await made_in(at_work, state)
    again = good(await at_work.client.post("/runs", json=made.body), 202)
    ACCEPTED.validate(again)
    status = MOVES[state][0]
    assert (again["accepted"], again["duplicate"], again["run"]["status"]) == (True, True, status)
    canonical = good(await at_work.client.get(f"/runs/{made.run_id}"))
    CANONICAL.validate(canonical)
    assert canonical == again["run"]
    assert (canonical["waiting_reason"] is not None) is (status == "waiting")
    assert (canonical["error"] is not None) is (status in ("failed", "cancelled"))
    assert (canonical["completed_at"] is not None) is (canonical["duration_ms"] is not None) is (status in ENDED)
    page = good(await at_work.client.get(f"/projects/{PROJECT}/runs"))
    assert page["data"] == [canonical]


@pytest.mark.parametrize("name", BODIES)
async def test_every_kind_pending_duplicate_and_cancelled(at_work: Api, name: str) -> None:
    """Seeds 001 and 002."""
    body = {**BODIES[name], "public_id": f"run-{uuid4()}"}
    for duplicate in (False, True):
        answer = good(await at_work.client.post("/runs", json=body), 202)
        ACCEPTED.validate(answer)
        assert answer["duplicate"] is duplicate
        assert (answer["message_id"] is None) or answer["conversation_id"] is not None
    cancelled = good(await at_work.client.post(f"/runs/{body['public_id']}/cancel"))
    CANONICAL.validate(cancelled["run"])
    again = good(await at_work.client.post("/runs", json=body), 202)
    ACCEPTED.validate(again)
    assert (again["duplicate"], again["run"]["status"]) == (True, "cancelled")


@in_every_state
async def test_start_and_its_duplicate(at_work: Api, state: str) -> None:
    """Seed 000."""
    made = await made_in(at_work, state)
    for duplicate in (state != "pending", True):
        answer = good(await at_work.client.post(made.start, json=INPUT))
        STARTED.validate(answer)
        assert (answer["accepted"], answer["duplicate"]) == (True, duplicate)
        consistent(answer["run"], MOVES[state][0])
        assert answer["run"]["run_id"] == made.run_id
        assert good(await at_work.client.get(made.path)) == answer["run"]


REFUSALS = {
    "waiting": "Cannot append external events while the run is waiting for a tool result",
    **dict.fromkeys(ENDED, "Cannot append external events to a terminal run"),
}


@in_every_state
async def test_appends_and_their_repetition(at_work: Api, state: str) -> None:
    """Seed 003: the answer to a new batch, to one that was stored before, and to one that continues it."""
    made = await made_in(at_work, state, events=state != "pending")
    status = "running" if state == "pending" else MOVES[state][0]
    body: dict[str, Any] = {"events": EVENTS, "expected_previous_event_id": 0}
    stored = good(await at_work.client.post(f"{made.path}/events", json=body))
    again = good(await at_work.client.post(f"{made.path}/events", json=body))
    for answer, appended in ((stored, 2 if state == "pending" else 0), (again, 0)):
        APPENDED.validate(answer)
        assert answer["appended_count"] == appended
        assert answer["latest_external_event_sequence"] == 2
        for counter in ("latest_event_id", "latest_external_event_sequence"):
            assert answer[counter] == answer["run"][counter]
        consistent(answer["run"], status)
    assert good(await at_work.client.get(made.path)) == again["run"]
    more = {"events": [*EVENTS, {"type": "CUSTOM"}], "expected_previous_external_event_sequence": 0}
    if status in REFUSALS:
        problem = await at_work.problem("POST", f"{made.path}/events", 400, json=more)
        assert problem["detail"] == REFUSALS[status]
        assert "error" not in problem
    else:
        continued = good(await at_work.client.post(f"{made.path}/events", json=more))
        APPENDED.validate(continued)
        assert continued["appended_count"] == 1


async def test_a_run_that_waits_for_a_tool_names_it(at_work: Api) -> None:
    """Rule 5: the two words for waiting; veryfront.md 3.3: which call it is."""
    made = await made_in(at_work, "waiting for a tool")
    projection = good(await at_work.client.get(made.path))
    assert (projection["waiting_tool_call_id"], projection["waiting_tool_name"]) == ("call", "look")
    assert projection["status"] == "waiting_for_tool"
    canonical = good(await at_work.client.get(f"/runs/{made.run_id}"))
    assert (canonical["status"], canonical["waiting_reason"]) == ("waiting", "tool")


async def test_what_cannot_be_a_duplicate_is_a_conflict(at_work: Api) -> None:
    """The one refusal that only these routes have: the same public_id for something else."""
    made = await made_in(at_work, "running")
    elsewhere = {**made.body, "owner": {"kind": "conversation", "id": made.path.split("/")[2]}}
    for body in (elsewhere, {**BODIES["task"], "public_id": made.run_id}):
        problem = await at_work.problem("POST", "/runs", 409, json=body)
        assert problem["code"] == "run_exists"
        assert "error" not in problem
