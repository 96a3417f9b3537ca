"""What POST /runs makes of a body's bytes: the typed value, and the errors that name a place."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest

from perdure.domain.errors import InvalidRequest, PayloadTooLarge
from perdure.domain.ids import ConversationId, MessageId, RunId
from perdure.domain.run import Kind
from perdure.http.runs.create_body import (
    BODY_BYTES,
    LARGEST_INTEGER,
    SNAPSHOT_BYTES,
    AgentVariant,
    ConversationMode,
    CreateRunBody,
    DurableRootRun,
    OwnerKind,
    parse_create,
)

ONE = "3C90C3CC-0D44-4B50-8888-8DD25736052A"
TWO = "00000000-0000-4000-8000-000000000002"
PROJECT = {"kind": "project", "id": ONE}
HOSTED_INPUT: dict[str, Any] = {"messages": [], "context": {"project_id": None, "branch_id": None}}


def agent(request: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"kind": "agent", "owner": PROJECT, "request": {"mode": "agent", **request}, **more}


def task(**request: Any) -> dict[str, Any]:
    return {"kind": "task", "owner": PROJECT, "request": {"target": "task:report", **request}}


def parse(body: Any) -> CreateRunBody:
    return parse_create(msgspec.json.encode(body))


def refused(body: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parse_create(body if isinstance(body, bytes) else msgspec.json.encode(body))
    return caught.value


# --- the typed value -------------------------------------------------------------------------------------------------


def test_what_all_kinds_share() -> None:
    run = parse(
        {
            **agent({"agent_id": "demo"}),
            "owner": {"kind": "conversation", "id": TWO},
            "public_id": "mine",
            "parent_run_id": "parent",
            "trigger": {"conversation_id": ONE, "message_id": TWO, "tool_call_id": "call"},
            "conversation_mode": "existing",
            "conversation_id": TWO,
        }
    )
    assert run == CreateRunBody(
        kind=Kind.AGENT,
        owner_kind=OwnerKind.CONVERSATION,
        owner_id=UUID(TWO),
        request={"mode": "agent", "agent_id": "demo"},
        public_id=RunId("mine"),
        parent_run_id=RunId("parent"),
        trigger_conversation_id=ConversationId(UUID(ONE)),
        trigger_message_id=MessageId(UUID(TWO)),
        trigger_tool_call_id="call",
        conversation_mode=ConversationMode.EXISTING,
        conversation_id=ConversationId(UUID(TWO)),
        variant=AgentVariant.HOSTED,
        agent_id="demo",
    )


def test_an_agent_that_an_external_worker_runs() -> None:
    run = parse(
        agent(
            {
                "agent_id": "coder",
                "implementation_kind": "claude-code",
                "worker_key": "w.1",
                "initial_status": "pending",
                "source_target_kind": "release",
                "source_target_environment_id": None,
                "source_target_release_version": "1.2",
                "runtime_target_kind": "preview_branch",
                "runtime_target_branch_id": TWO,
            }
        )
    )
    assert run.variant is AgentVariant.RUNTIME
    assert (run.agent_id, run.implementation_kind, run.worker_key) == ("coder", "claude-code", "w.1")
    assert run.initial_status == "pending"
    assert (run.source_target_kind, run.source_target_release_version) == ("release", "1.2")
    assert run.source_target_environment_id is None
    assert (run.runtime_target_kind, run.runtime_target_branch_id) == ("preview_branch", UUID(TWO))
    assert run.input is None


def test_a_hosted_agent_keeps_its_input_and_says_which_pending_run_it_starts() -> None:
    given = {**HOSTED_INPUT, "model": "m", "durable_root_run": {"run_id": "mine", "message_id": TWO}}
    run = parse(agent({"agent_id": "demo", "initial_status": "running", "input": given}))
    assert run.variant is AgentVariant.HOSTED
    assert run.initial_status == "running"
    assert run.input == given
    assert run.durable_root_run == DurableRootRun(RunId("mine"), MessageId(UUID(TWO)))


def test_a_project_agents_target_ids_serve_source_and_runtime() -> None:
    given = {"agent_id": "demo", "source_target_kind": "environment", "runtime_target_kind": "environment"}
    run = parse(agent({"input": {**given, "target_environment_id": TWO}}))
    assert run.variant is AgentVariant.PROJECT_STREAM
    assert run.agent_id == "demo"
    assert (run.source_target_kind, run.source_target_environment_id) == ("environment", UUID(TWO))
    assert (run.runtime_target_kind, run.runtime_target_environment_id) == ("environment", UUID(TWO))
    assert run.source_target_branch_id is None
    assert run.input == {**given, "target_environment_id": TWO}


def test_a_task() -> None:
    run = parse(task(name="Report", batch_id=TWO, config={"a": 1}, timeout_seconds=30.0, backoff_limit=0))
    assert (run.kind, run.target, run.name, run.batch_id) == (Kind.TASK, "task:report", "Report", UUID(TWO))
    assert run.config == {"a": 1}
    assert run.timeout_seconds == 30
    assert isinstance(run.timeout_seconds, int)
    assert run.backoff_limit == 0
    assert run.variant is None


@pytest.mark.parametrize("value", [1e300, 2**31, 10**400])
def test_a_limit_beyond_every_column_becomes_the_largest(value: float) -> None:
    assert parse(task(timeout_seconds=value)).timeout_seconds == LARGEST_INTEGER


def test_a_workflow_and_an_eval() -> None:
    request = {"target": "workflow:x", "input": {"a": 1}, "start_mode": "manual"}
    workflow = parse({"kind": "workflow", "owner": PROJECT, "request": {**request, "workflow_id": "x"}})
    assert (workflow.kind, workflow.workflow_id, workflow.start_mode) == (Kind.WORKFLOW, "x", "manual")
    assert workflow.input == {"a": 1}
    judged = parse({"kind": "eval", "owner": PROJECT, "request": {**request, "config": {}}})
    assert (judged.kind, judged.workflow_id, judged.config) == (Kind.EVAL, None, {})


def test_of_a_repeated_member_the_last_counts_in_every_check() -> None:
    body = msgspec.json.encode(task(timeout_seconds=5))
    assert parse_create(body.replace(b'"target":', b'"target":7,"target":')).target == "task:report"
    spoiled = body.replace(b'"timeout_seconds":5', b'"timeout_seconds":5,"timeout_seconds":"x"')
    assert refused(spoiled).pointer == "/request/timeout_seconds"


# --- errors ----------------------------------------------------------------------------------------------------------


HOSTED = "in a HostedDefaultChatAgentRequest"
RUNTIME = "in a RuntimeAgentRequest"
STREAM = "in a ProjectAgentStreamAgentRequest"


def hosted(**given: Any) -> dict[str, Any]:
    return agent({"agent_id": "a", "input": {**HOSTED_INPUT, **given}})


def stream(**given: Any) -> dict[str, Any]:
    return agent({"input": {"agent_id": "a", **given}})


@pytest.mark.parametrize(
    ("body", "pointer", "says"),
    [
        ([], "", "The body must be an object, not an empty array."),
        ({}, "/kind", 'Add `/kind`, one of "agent", "workflow", "task", "eval": it is required.'),
        ({"kind": "job"}, "/kind", '`/kind` must be one of "agent", "workflow", "task", "eval", not "job".'),
        ({"kind": "task"}, "/owner", "Add `/owner`, an object: it is required."),
        (task(name="x" * 256), "/request/name", "`/request/name` must be a string of 1 to 255 characters, not "),
        (task(name=None), "/request/name", "`/request/name` must be a string of 1 to 255 characters, not null."),
        (task(timeout_seconds=0), "/request/timeout_seconds", "must be an integer greater than 0, not 0."),
        (task(backoff_limit=-1), "/request/backoff_limit", "must be an integer of at least 0, not -1."),
        (task(config=[1]), "/request/config", "must be an object, not an array of 1."),
        (
            task(nmae="x"),
            "/request/nmae",
            "no such member is known. Known here: backoff_limit, batch_id, config, name, ",
        ),
        (task(**{"a/b~c": 1}), "/request/a~1b~0c", "Remove `/request/a~1b~0c`: "),
        (
            agent({"agent_id": "a", "implementation_kind": "a b"}),
            "/request/implementation_kind",
            RUNTIME + ', not "a b"',
        ),
        (agent({"implementation_kind": "k"}), "/request/agent_id", "it is required " + RUNTIME),
        (
            agent({"agent_id": "a", "implementation_kind": "k", "input": HOSTED_INPUT}),
            "/request/input",
            "no such member is known " + RUNTIME,
        ),
        (agent({}), "/request/agent_id", "it is required " + HOSTED),
        (agent({"input": HOSTED_INPUT}), "/request/agent_id", "it is required " + HOSTED),
        (agent({"agent_id": "a", "prompt": "hi"}), "/request/prompt", "no such member is known " + HOSTED),
        (agent({"agent_id": "a", "input": {"messages": []}}), "/request/input/context", "it is required " + HOSTED),
        (
            agent({"agent_id": "a", "source_target_kind": "x"}),
            "/request/source_target_kind",
            '"release", null ' + HOSTED,
        ),
        (hosted(messages=[{}, "hi"]), "/request/input/messages/1", f'must be an object {HOSTED}, not "hi".'),
        (hosted(tools=[{"name": "1"}]), "/request/input/tools/0/name", "that matches ^[a-zA-Z][a-zA-Z0-9._:-]*$ "),
        (hosted(tools=[{"name": "a"}] * 51), "/request/input/tools", "at most 50 items"),
        (
            hosted(runtime_overrides={"thinking": True}),
            "/request/input/runtime_overrides/thinking",
            f"must be false or an integer greater than 0 {HOSTED}, not true.",
        ),
        (stream(messages=[{}]), "/request/input/messages", f"must be an empty array {STREAM}, not an array of 1."),
        (stream(context=[{"type": "text"}]), "/request/input/context/0/text", "it is required " + STREAM),
        (stream(context=[{"type": "image"}]), "/request/input/context/0/type", 'one of "text", "json", "resource"'),
        (stream(context=[{}]), "/request/input/context/0/type", 'Add `/request/input/context/0/type`, one of "text"'),
        (stream(context=["a"]), "/request/input/context/0", "must be an object in a Project"),
        (
            {**task(), "owner": {"kind": "conversation", "id": ONE}},
            "/owner/kind",
            '`/owner/kind` must be "project", not "conversation".',
        ),
        (
            {**agent({"agent_id": "a"}), "owner": {"kind": "user", "id": ONE}},
            "/owner/kind",
            '`/owner/kind` must be one of "conversation", "project", not "user".',
        ),
        (
            {**agent({"agent_id": "a"}), "owner": {"kind": "project", "id": "mine"}},
            "/owner/id",
            '`/owner/id` must be a UUID, not "mine".',
        ),
    ],
)
def test_an_error_names_the_place_and_what_belongs_there(body: Any, pointer: str, says: str) -> None:
    error = refused(body)
    assert says in error.detail
    assert error.pointer == pointer


@pytest.mark.parametrize("name", ["x" * 100_000, "\n" * 1000])
def test_an_error_does_not_repeat_long_names(name: str) -> None:
    error = refused(task(**{name: 1}))
    assert len(error.detail) < 500
    assert len(error.pointer or "") < 100


def test_a_large_invalid_body_is_refused_at_its_first_problem() -> None:
    # All problems of this body together would take gigabytes.
    assert refused(hosted(messages=[1] * 900_000)).pointer == "/request/input/messages/0"


def test_a_snapshot_of_2_mb_is_too_large_however_it_is_written() -> None:
    def body(text: str) -> dict[str, Any]:
        return agent({"agent_id": "a", "input": {**HOSTED_INPUT, "model": text}})

    rest = len(msgspec.json.encode(body("")["request"]))
    largest = body("x" * (SNAPSHOT_BYTES - rest - 1))
    assert parse(largest).agent_id == "a"
    assert parse_create(b" " * 1000 + msgspec.json.encode(largest)).agent_id == "a"
    error = refused(body("x" * (SNAPSHOT_BYTES - rest)))
    assert isinstance(error, PayloadTooLarge)
    assert error.detail == "Agent run request snapshot payload must be less than 2 MB"
    assert error.pointer == "/request"
    assert isinstance(refused(task(config={"a": "x" * SNAPSHOT_BYTES})), PayloadTooLarge)


def test_an_endless_body_is_not_looked_at() -> None:
    assert isinstance(refused(b" " * (BODY_BYTES + 1)), PayloadTooLarge)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"agent",
        b'{"kind":"task"',
        b"\xff\xfe",
        b'{"kind":"\xed\xa0\x80"}',
        b'{"kind":"\\ud800"}',
        b'{"kind":"a\\u0000"}',
        b'{"a":NaN}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_acceptable_json_is_refused(body: bytes) -> None:
    refused(body)
