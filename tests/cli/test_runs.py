"""`perdure runs`: the commands, their output and their exit codes."""

from __future__ import annotations

import asyncio
from pathlib import Path

from perdure.domain.ids import RunId, RunKey
from perdure.domain.run import Finish, Park, PendingCall, Status, Waiting, WaitingReason
from perdure.services import events, lifecycle
from perdure.services import runs as run_service
from perdure.store import run_events
from tests.cli.conftest import Terminal
from tests.http.runs_app import PROJECT, Api
from tests.store.harness import eventually


def key(run_id: str) -> RunKey:
    return RunKey(PROJECT, RunId(run_id))


async def start(at_work: Api, run_id: str) -> None:
    """A run that the test executes."""
    await at_work.create(public_id=run_id)


async def say(at_work: Api, run_id: str, *texts: str) -> None:
    run = await run_service.get(at_work.core, key(run_id))
    said = [{"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "contentId": "c", "delta": text} for text in texts]
    await at_work.json("POST", f"/conversations/{run.conversation_id}/runs/{run_id}/events", {"events": said})


async def ask(at_work: Api, run_id: str, *calls: PendingCall) -> None:
    """The run waits for these calls."""
    await lifecycle.apply(at_work.core, key(run_id), Park(Waiting(calls[0].reason, calls), None))


def has_follower(at_work: Api) -> bool:
    return b"\nperdure_followers 1.0" in at_work.core.metrics.render()


def approval(call_id: str) -> PendingCall:
    return PendingCall(call_id, "pay", WaitingReason.APPROVAL)


async def test_create_answers_the_id_and_says_how_to_watch(terminal: Terminal) -> None:
    made = await terminal.run("runs", "create", "echo", "Hello")
    run_id = made.out.strip()
    assert (made.code, made.err) == (0, f"Watch it: perdure runs tail -f {run_id}\n")
    run = (await terminal.run("runs", "get", run_id, "--json")).json
    assert run["input"]["messages"] == [{"role": "user", "content": "Hello"}]
    assert run["status"] == "pending"


async def test_create_says_when_the_run_is_executed(terminal: Terminal) -> None:
    words = ("--priority", "-3", "--run-after", "2999-01-01T00:00:00+01:00", "--deadline", "2999-01-02T12:00", "--json")
    run = (await terminal.run("runs", "create", "echo", "Hello", *words)).json["run"]
    assert (run["priority"], run["run_after"]) == (-3, "2998-12-31T23:00:00Z")
    assert run["deadline"].startswith("2999-01-0")
    bad = await terminal.run("runs", "create", "echo", "Hello", "--deadline", "tomorrow")
    assert (bad.code != 0, "--deadline must be a time" in bad.err) == (True, True)


async def test_create_takes_its_input_from_a_file_and_from_standard_input(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    file.write_text('{"messages": [{"role": "user", "content": "Before"}], "runtime_overrides": {"max_steps": 3}}')
    words = ("--input", str(file), "--conversation", "new", "--id", "mine", "--project", "default", "--json")
    made = (await terminal.run("runs", "create", "echo", "-", *words, stdin="After")).json
    assert (made["run"]["run_id"], made["duplicate"]) == ("mine", False)
    assert made["conversation_id"] == made["run"]["conversation_id"] is not None
    assert made["run"]["input"]["messages"][1] == {"role": "user", "content": "After"}
    assert made["run"]["input"]["runtime_overrides"] == {"max_steps": 3}
    again = await terminal.run("runs", "create", "echo", "-", *words[:-1], stdin="After")
    assert "existed already" in again.err


async def test_create_wants_something_to_say(terminal: Terminal, tmp_path: Path) -> None:
    assert "Say something" in (await terminal.run("runs", "create", "echo")).err
    (tmp_path / "list.json").write_text("[]")
    wrong = await terminal.run("runs", "create", "echo", "--input", str(tmp_path / "list.json"))
    assert (wrong.code, "does not hold a JSON object" in wrong.err) == (1, True)


async def test_lists(terminal: Terminal, at_work: Api) -> None:
    assert "There are no such runs" in (await terminal.run("runs", "list")).err
    await start(at_work, "r-1")
    await start(at_work, "r-2")
    await ask(at_work, "r-2", approval("c1"))
    shown = (await terminal.run("runs", "list")).out.splitlines()
    assert shown[0].split() == ["RUN", "STATUS", "KIND", "OF", "CREATED", "TOOK", "DETAIL"]
    assert [line.split()[:4] for line in shown[1:]] == [
        ["r-2", "waiting", "agent", "writer"],
        ["r-1", "running", "agent", "writer"],
    ]
    assert shown[1].split()[-1] == "pay"
    waiting = (await terminal.run("runs", "list", "--status", "waiting", "--status", "failed", "--json")).json
    assert [run["run_id"] for run in waiting["data"]] == ["r-2"]
    assert len((await terminal.run("runs", "list", "--limit", "1", "--json")).json["data"]) == 1
    assert (await terminal.run("runs", "list", "--status", "asleep")).code == 2


async def test_get_shows_what_a_run_waits_for(terminal: Terminal, at_work: Api) -> None:
    await start(at_work, "r-1")
    await ask(at_work, "r-1", approval("c1"))
    shown = (await terminal.run("runs", "get", "r-1")).out
    assert "status        waiting" in shown
    assert "$ perdure runs approve r-1 c1\n" in shown


async def test_tail_shows_what_there_is(terminal: Terminal, at_work: Api) -> None:
    await start(at_work, "r-1")
    await say(at_work, "r-1", "Once ", "upon")
    done = await terminal.run("runs", "tail", "r-1")
    assert (done.code, done.out, done.err) == (5, "Once upon\n", "The run is running.\n")
    lines = (await terminal.run("runs", "tail", "r-1", "--json", "--after", "1")).lines
    assert [(line["event_id"], line["payload"]["delta"]) for line in lines] == [(2, "upon")]


async def test_tail_follows_to_the_end(terminal: Terminal, at_work: Api) -> None:
    await start(at_work, "r-1")
    await say(at_work, "r-1", "a")
    following = asyncio.create_task(terminal.run("runs", "tail", "-f", "r-1"))
    await eventually(lambda: has_follower(at_work))
    await say(at_work, "r-1", "b")
    await lifecycle.apply(at_work.core, key("r-1"), Finish(Status.COMPLETED))
    done = await following
    assert (done.code, done.out) == (0, "ab\n✔ completed\n")


async def test_the_exit_code_says_how_the_run_ended(terminal: Terminal, at_work: Api) -> None:
    for status, code in ((Status.FAILED, 1), (Status.CANCELLED, 2)):
        await start(at_work, f"r-{status}")
        await lifecycle.apply(at_work.core, key(f"r-{status}"), Finish(status))
        for words in (("tail",), ("tail", "-f"), ("tail", "-f", "--wait")):
            assert (await terminal.run("runs", *words, f"r-{status}")).code == code


async def test_following_stops_where_somebody_is_waited_for(terminal: Terminal, at_work: Api) -> None:
    await start(at_work, "r-1")
    await ask(at_work, "r-1", approval("c1"))
    done = await terminal.run("runs", "tail", "-f", "r-1")
    assert done.code == 3
    assert done.out.splitlines()[-2] == "    $ perdure runs approve r-1 c1"
    approved = await terminal.run("runs", "approve", "r-1")
    assert (approved.code, approved.err) == (0, "Approved.\n")
    await lifecycle.apply(at_work.core, key("r-1"), Finish(Status.COMPLETED))
    done = await terminal.run("runs", "tail", "-f", "r-1")
    assert (done.code, done.out.splitlines()[-2:]) == (0, ["✓ approved: pay", "✔ completed"])


async def test_following_through_what_is_waited_for(terminal: Terminal, at_work: Api) -> None:
    await start(at_work, "r-1")
    await ask(at_work, "r-1", approval("c1"))
    following = asyncio.create_task(terminal.run("runs", "tail", "-f", "--wait", "--json", "r-1"))
    await eventually(lambda: has_follower(at_work))
    await at_work.json("POST", "/runs/r-1/resume", {"type": "approval", "tool_call_id": "c1", "approved": False})
    await lifecycle.apply(at_work.core, key("r-1"), Finish(Status.COMPLETED))
    done = await following
    assert (done.code, done.lines[-1]["payload"]["type"]) == (0, "RUN_FINISHED")


async def test_several_approvals_are_told_apart(terminal: Terminal, at_work: Api) -> None:
    await start(at_work, "r-1")
    await ask(at_work, "r-1", approval("c1"), approval("c2"), approval("c3"))
    undecided = await terminal.run("runs", "approve", "r-1")
    assert (undecided.code, "name one, or say --all" in undecided.err, "c2  pay" in undecided.err) == (1, True, True)
    assert (await terminal.run("runs", "approve", "r-1", "c2", "--json")).json == [
        {"accepted": True, "duplicate": False}
    ]
    rest = await terminal.run("runs", "approve", "r-1", "--all", "--deny", "--message", "no")
    assert (rest.code, rest.err) == (0, "Denied.\n")
    assert (await terminal.run("runs", "get", "r-1", "--json")).json["status"] == "running"
    late = await terminal.run("runs", "approve", "r-1")
    assert (late.code, "waits for no approval" in late.err) == (4, True)
    text = "".join([line async for line in events.own_lines(at_work.core, key("r-1"))])
    assert text.count('"message":"no"') == 2


async def test_resume_with_a_result(terminal: Terminal, at_work: Api, tmp_path: Path) -> None:
    await start(at_work, "r-1")
    await ask(at_work, "r-1", *(PendingCall(f"c{number}", "ask") for number in range(1, 5)))
    (tmp_path / "result.json").write_text('{"n": 2}')
    assert (await terminal.run("runs", "resume", "r-1", "c1", "plain text")).code == 0
    assert (await terminal.run("runs", "resume", "r-1", "c2", "--file", str(tmp_path / "result.json"))).code == 0
    assert (await terminal.run("runs", "resume", "r-1", "c3", "it broke", "--error", "--json")).json["accepted"]
    assert (await terminal.run("runs", "resume", "r-1", "c4", "--file", "-", stdin="typed")).code == 0
    rows = await run_events.read(at_work.core.database, key("r-1"), 0)
    lines = [line for row in rows for line in row.lines() if "TOOL_CALL_RESULT" in line]
    assert '"content":"typed"' in lines[3]
    assert ['"content":"plain text"' in lines[0], '{\\"n\\":2}' in lines[1], '"isError":true' in lines[2]] == [True] * 3
    neither = await terminal.run("runs", "resume", "r-1", "c1")
    assert (neither.code, "either as RESULT or as --file" in neither.err) == (1, True)
    twice = await terminal.run("runs", "resume", "r-1", "c1", "another text")
    assert (twice.code, "TOOL_RESULT_CONFLICT" in twice.err) == (4, True)


async def test_signal_cancel_and_restart(terminal: Terminal, at_work: Api) -> None:
    await start(at_work, "r-1")
    assert (await terminal.run("runs", "signal", "r-1", "go", '{"n": 1}')).code == 0
    assert (await terminal.run("runs", "signal", "r-1", "go", "--json")).json == {"accepted": True, "duplicate": False}
    cancelled = await terminal.run("runs", "cancel", "r-1", "--reason", "Enough.")
    assert (cancelled.code, cancelled.err) == (0, "The run is cancelled.\n")
    assert (await terminal.run("runs", "cancel", "r-1")).err == "The run had ended before: cancelled.\n"
    assert not (await terminal.run("runs", "cancel", "r-1", "--json")).json["cancelled"]
    assert "error         Enough. [CANCELLED]" in (await terminal.run("runs", "get", "r-1")).out
    shown = await terminal.run("runs", "tail", "r-1")
    assert shown.out.splitlines() == ['⚡ signal go {"n":1}', "⚡ signal go ", "■ cancelled: Enough."]
    assert (await terminal.run("runs", "restart", "r-1", "--fresh", "--json")).json["run"]["status"] == "pending"
    again = await terminal.run("runs", "restart", "r-1")
    assert (again.code, "run_not_terminal" in again.err) == (4, True)


async def test_what_the_server_refuses_is_told_with_advice(terminal: Terminal) -> None:
    missing = await terminal.run("runs", "get", "nothing")
    assert (missing.code, missing.out) == (4, "")
    assert missing.err.startswith("Error: There is no run nothing. [run_not_found, request ")
    unknown = await terminal.run("runs", "create", "nobody", "Hi")
    assert "Known agents: echo" in unknown.err
    terminal.environment["PERDURE_API_KEY"] = ""
    assert "Set PERDURE_API_KEY" in (await terminal.run("runs", "list")).err
    assert "is not good at" in (await terminal.run("--api-key", "pd_wrong", "runs", "list")).err
    away = await terminal.run("--url", "http://127.0.0.1:1", "runs", "list")
    assert (away.code, "perdure dev" in away.err) == (4, True)


async def test_a_tree_is_drawn_and_cancelled(terminal: Terminal, at_work: Api) -> None:
    await start(at_work, "top")
    for run_id, parent in (("a", "top"), ("b", "top"), ("a1", "a"), ("a2", "a"), ("b1", "b")):
        await at_work.create(public_id=run_id, parent_run_id=parent)
    await at_work.json("POST", "/runs/b/complete", {"status": "failed", "terminal_error_message": "It broke."})
    shown = await terminal.run("runs", "tree", "a1", "--root")
    assert [line.split("  agent ")[0] for line in shown.out.splitlines()] == [
        "top", "├─ a", "│  ├─ a1", "│  └─ a2", "└─ b", "   └─ b1",
    ]  # fmt: skip
    assert shown.out.splitlines()[0] == "top  agent writer  running"
    assert shown.out.splitlines()[4].endswith("It broke.")
    below = (await terminal.run("runs", "tree", "a", "--json")).json
    assert [node["run_id"] for node in below["data"]] == ["a", "a1", "a2"]
    cancelled = await terminal.run("runs", "cancel", "top", "--tree")
    assert (cancelled.code, cancelled.err) == (0, "5 runs cancelled.\n")
    again = (await terminal.run("runs", "cancel", "top", "--tree", "--json")).json
    assert again == {"cancelled": 0}
