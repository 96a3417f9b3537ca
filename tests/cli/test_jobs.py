"""`perdure batches`, `perdure catalog`, and `perdure runs create` for what is no agent."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

from perdure.domain.catalog import Published
from perdure.domain.ids import RunId, RunKey
from perdure.domain.run import Finish, Kind, Status
from perdure.services import catalog, lifecycle
from tests.cli.conftest import Terminal
from tests.http.runs_app import PROJECT, Api

SCHEMA = {"type": "object", "required": ["to"], "properties": {"to": {"type": "string"}, "copies": {"type": "integer"}}}


async def finish(at_work: Api, run_id: str, status: Status) -> None:
    await lifecycle.apply(at_work.core, RunKey(PROJECT, RunId(run_id)), Finish(status))


async def test_a_batch_from_its_file_to_its_end(terminal: Terminal, at_work: Api, tmp_path: Path) -> None:
    file, batch = tmp_path / "tasks.jsonl", str(uuid4())
    file.write_text('{"target": "task:t", "config": {"number": 1}}\n\n{"target": "task:t"}\n')
    made = await terminal.run("batches", "create", str(file), "--id", batch, "--priority", "7")
    assert (made.code, made.out.strip()) == (0, batch), made.err
    assert f"2 task runs. Wait for them: perdure batches wait {batch}" in made.err
    again = await terminal.run("batches", "create", str(file), "--id", batch, "--priority", "7", "--json")
    assert (again.json["duplicate"], "existed already" in again.err) == (True, True)
    early = await terminal.run("batches", "wait", batch, "--timeout", "0")
    assert (early.code, early.out) == (5, "pending: 0 of 2 ended (2 pending)\n")
    first, second = again.json["run_ids"]
    assert (await terminal.run("runs", "get", first, "--json")).json["priority"] == 7
    await finish(at_work, first, Status.COMPLETED)
    assert (await terminal.run("batches", "show", batch, "--json")).json["progress"] == 0.5
    await finish(at_work, second, Status.FAILED)
    done = await terminal.run("batches", "wait", batch)
    assert (done.code, done.out) == (1, "failed: 2 of 2 ended (1 completed, 1 failed)\n")
    ended = await terminal.run("batches", "cancel", batch)
    assert (ended.code, ended.err) == (0, "The batch had ended before: failed.\n")


async def test_a_batch_from_standard_input_is_cancelled(terminal: Terminal) -> None:
    requests = [{"target": "task:t", "config": {"number": number}} for number in range(3)]
    made = await terminal.run("batches", "create", "-", "--project", "default", stdin=json.dumps(requests, indent=1))
    batch = made.out.strip()
    cancelled = await terminal.run("batches", "cancel", batch, "--wait")
    assert (cancelled.code, cancelled.out) == (0, "cancelled: 3 of 3 ended (3 cancelled)\n")
    assert (await terminal.run("batches", "wait", batch, "--json")).code == 2


async def test_what_is_no_batch(terminal: Terminal) -> None:
    wrong = await terminal.run("batches", "create", "-", stdin="{not JSON}")
    assert (wrong.code, "neither JSON Lines nor a JSON array" in wrong.err) == (1, True)
    refused = await terminal.run("batches", "create", "-", stdin='[{"target": "task:nobody"}]')
    assert (refused.code, "target_not_found" in refused.err) == (4, True)
    unknown = await terminal.run("batches", "show", str(uuid4()))
    assert (unknown.code, "batch_not_found" in unknown.err) == (4, True)


async def test_the_catalogue(terminal: Terminal, at_work: Api) -> None:
    said = Published(Kind.TASK, "report", "Sends a report.\nAt length.", "7", json.dumps(SCHEMA))
    await catalog.publish(at_work.core, [said])
    shown = (await terminal.run("catalog")).out.splitlines()
    assert shown[0].split() == ["TARGET", "VERSION", "WORKERS", "TAKES", "DESCRIPTION"]
    [line] = [line for line in shown if line.startswith("task:report")]
    assert line.split() == ["task:report", "7", "1", "to*,", "copies", "Sends", "a", "report."]
    assert any(line.split()[:4] == ["agent:echo", "-", "1", "messages"] for line in shown)
    [entry] = [one for one in (await terminal.run("catalog", "--json")).json["data"] if one["name"] == "report"]
    assert entry["input_schema"] == SCHEMA
    evals = (await terminal.run("catalog", "--kind", "eval", "--json")).json["data"]
    assert {one["kind"] for one in evals} == {"eval"}


async def test_tasks_workflows_and_evals_are_started(terminal: Terminal, at_work: Api, tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    file.write_text('{"sku": "a"}')
    for words, member, value in (
        (("task:t", "--input", '{"to": "Ada"}'), "config", {"to": "Ada"}),
        (("workflow:flow", "--input", str(file), "--project", "default"), "input", {"sku": "a"}),
        (("eval:smoke", "--id", "mine"), "config", {}),
    ):
        made = await terminal.run("runs", "create", *words)
        run = await at_work.json("GET", f"/runs/{made.out.strip()}")
        assert (made.code, run["target"], run[member]) == (0, words[0], value), made.err
    assert (await at_work.json("GET", "/runs/mine"))["kind"] == "eval"
    agent = await terminal.run("runs", "create", "agent:echo", "Hello", "--json")
    assert agent.json["run"]["agent_id"] == "echo"


async def test_what_cannot_be_started(terminal: Terminal) -> None:
    said = await terminal.run("runs", "create", "task:t", "Hello")
    assert (said.code, "Only agents have a PROMPT" in said.err) == (1, True)
    array = await terminal.run("runs", "create", "task:t", "--input", "-", stdin="[]")
    assert (array.code, "does not hold a JSON object" in array.err) == (1, True)
    missing = await terminal.run("runs", "create", "task:t", "--input", "nowhere.json")
    assert (missing.code, "Cannot read nowhere.json" in missing.err) == (1, True)
    nobody = await terminal.run("runs", "create", "task:nobody")
    assert (nobody.code, "target_not_found" in nobody.err) == (4, True)
