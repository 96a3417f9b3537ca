"""Tasks: a process each, whose output, files and end become the run's (docs/tasks.md)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.http.tasks_at_work import Tasks, tasks_at_work
from tests.store.harness import eventually


@pytest_asyncio.fixture
async def tasks(database: str, tmp_path: Path) -> AsyncIterator[Tasks]:
    async with tasks_at_work(
        database, tmp_path, SECRET="s", WANTED="w", LC_TIME="C", PERDURE_JWT_SECRET="t"
    ) as running:
        yield running


def alive(pid: int) -> bool:
    """Whether a process exists and is not merely waiting to be collected."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


async def said(tasks: Tasks, run_id: str, word: str) -> list[str]:
    """The words of the first line of a run's logs that begins with `word`, as soon as it is there."""
    run = await tasks.until(run_id, lambda run: word in (run["logs"] or "") and run["logs"].endswith("\n"))
    line: str = next(line for line in run["logs"].splitlines() if line.startswith(word))
    return line.split()


async def test_a_function_says_all_that_it_can(tasks: Tasks) -> None:
    run_id = await tasks.start("greet", config={"name": "Ada"})
    run = await tasks.ended(run_id)
    assert run["status"] == "completed", run["error"]
    assert run["output"] == {"greeted": "Ada", "attempt": 1, "key": f"{run_id}.task"}
    assert run["exit_code"] == 0
    assert isinstance(run["duration_ms"], int)
    assert sorted(run["logs"].splitlines()) == ["a line", "careful", "hello Ada"]
    assert [one["path"] for one in run["artifacts"]] == ["notes/one.txt", "two.json"]
    logs = await tasks.values(run_id, "perdure.log")
    assert {(one["stream"], one["text"]) for one in logs} == {
        ("stdout", "hello Ada\n"),
        ("stderr", "careful\n"),
        ("log", "a line\n"),
    }
    assert await tasks.values(run_id, "perdure.progress") == [{"done": 1.0, "total": 2.0, "text": "half"}]
    assert await tasks.values(run_id, "perdure.published") == [{"name": "mood", "value": {"good": True}}]
    [exited] = await tasks.values(run_id, "perdure.task.exited")
    assert (exited["attempt"], exited["exitCode"]) == (1, 0)
    listed = await tasks.api.json("GET", "/runs")
    assert listed["data"][0]["exit_code"] == 0


async def test_a_coroutine_function(tasks: Tasks) -> None:
    run = await tasks.did("coroutine")
    assert (run["status"], run["output"], run["logs"]) == ("completed", 7, None)
    assert [one["path"] for one in run["artifacts"]] == ["reports/daily/a.txt"]


async def test_files_of_a_task_are_read_and_written_as_those_of_agents(tasks: Tasks) -> None:
    run = await tasks.did("coroutine")
    files = f"/api/v1/agents/{run['run_id']}/artifacts"
    assert (await tasks.api.client.get(f"{files}/reports/daily/a.txt")).content == b"a"
    assert (await tasks.api.client.put(f"{files}/files/b.txt", content=b"b")).status_code == 200
    assert (await tasks.api.client.get(f"{files}/files/b.txt")).content == b"b"
    listed = await tasks.api.json("GET", files)
    assert listed == [f"agents/{run['run_id']}/{name}" for name in ("files/b.txt", "reports/daily/a.txt")]


async def test_typed_parameters(tasks: Tasks) -> None:
    assert (await tasks.did("typed", config={"to": "Ada", "copies": 2}))["output"] == ["Ada", "Ada"]


async def test_a_command_line(tasks: Tasks) -> None:
    run = await tasks.did("shell", config={"a": 1})
    assert (run["status"], run["output"], run["exit_code"]) == ("completed", {"answer": 42}, 0)
    assert 'hello {"a":1}\n' in run["logs"]
    assert "oops\n" in run["logs"]
    assert [one["path"] for one in run["artifacts"]] == ["out.txt"]


async def test_a_result_file_wins_over_the_last_line(tasks: Tasks) -> None:
    assert (await tasks.did("shell_result"))["output"] == [1, 2]


async def test_of_the_environment_only_what_is_allowed_is_passed_on(tasks: Tasks) -> None:
    names = (await tasks.did("environment"))["output"]
    assert {"PATH", "LC_TIME", "WANTED", "ADDED", "PERDURE_RUN_ID", "PERDURE_OUTPUT_DIR"} <= set(names)
    assert not {"SECRET", "PERDURE_JWT_SECRET"} & set(names)


@pytest.mark.parametrize(
    ("target", "code", "message", "exit_code"),
    [
        ("broken", "TASK_FAILED", "ValueError: no such luck", 1),
        ("shell_failed", "TASK_FAILED", "The task ended with exit code 4: the disk is full", 4),
        ("no_json", "TASK_FAILED", "What the task returned is no JSON", 1),
        ("hungry", "TASK_FAILED", "MemoryError", 1),
        ("busy", "CPU_LIMIT", "The task used more processor time than its cpu_seconds, 1.", 152),
        ("missing", "TASK_FAILED", "The task ended with exit code 127", 127),
        ("short", "TIMEOUT", "The run took longer than its timeout_seconds.", 143),
    ],
)
async def test_failures(tasks: Tasks, target: str, code: str, message: str, exit_code: int) -> None:
    run = await tasks.did(target)
    assert (run["status"], run["error"]["code"], run["exit_code"]) == ("failed", code, exit_code), run
    assert run["error"]["message"].startswith(message)
    assert run["attempt"] == 1


async def test_a_traceback_is_in_the_logs(tasks: Tasks) -> None:
    run = await tasks.did("broken")
    assert "Traceback" in run["logs"]
    assert "Traceback" not in run["error"]["message"]


async def test_the_request_s_timeout_ends_a_task_and_keeps_what_it_said(tasks: Tasks) -> None:
    run_id = await tasks.start("sleeper", timeout_seconds=1)
    run = await tasks.ended(run_id)
    assert (run["status"], run["error"]["code"], run["exit_code"]) == ("failed", "TIMEOUT", 143)
    assert "cleaning up True" in run["logs"]
    assert not alive(int((await said(tasks, run_id, "sleeping"))[1]))


@pytest.mark.parametrize("target", ["sleeper", "sleeping_coroutine"])
async def test_a_cancelled_task_cleans_up(tasks: Tasks, target: str) -> None:
    run_id = await tasks.start(target)
    await said(tasks, run_id, "sleeping")
    await tasks.api.json("POST", f"/runs/{run_id}/cancel")
    run = await tasks.ended(run_id)
    assert run["status"] == "cancelled"
    assert "cleaning up True" in run["logs"]
    [exited] = await tasks.values(run_id, "perdure.task.exited")
    assert exited["exitCode"] == 143


async def test_a_task_that_does_not_listen_is_killed_with_all_that_it_started(tasks: Tasks) -> None:
    run_id = await tasks.start("family")
    family = [int(pid) for pid in (await said(tasks, run_id, "family"))[1:]]
    assert all(map(alive, family))
    await tasks.api.json("POST", f"/runs/{run_id}/cancel")
    assert (await tasks.ended(run_id))["status"] == "cancelled"
    assert not any(map(alive, family))
    [exited] = await tasks.values(run_id, "perdure.task.exited")
    assert exited["signal"] == "SIGKILL"


async def test_at_its_deadline_a_task_is_told_to_end_and_then_killed(tasks: Tasks) -> None:
    soon = {"deadline": (datetime.now(UTC) + timedelta(seconds=4)).isoformat()}
    listens, does_not = [await tasks.start(target, query=soon) for target in ("sleeper", "family")]
    family = [int(pid) for pid in (await said(tasks, does_not, "family"))[1:]]
    runs = [await tasks.ended(run_id) for run_id in (listens, does_not)]
    ends = [(run["status"], run["error"]["code"], run["exit_code"]) for run in runs]
    assert ends == [("failed", "DEADLINE_EXCEEDED", 143), ("failed", "DEADLINE_EXCEEDED", 137)]
    assert "cleaning up True" in runs[0]["logs"]
    assert not any(map(alive, family))


async def test_what_a_task_leaves_behind_is_killed(tasks: Tasks) -> None:
    run = await tasks.did("leaves_one_behind")
    assert run["status"] == "completed"
    assert not alive(run["output"])


async def test_a_failed_task_is_tried_again(tasks: Tasks) -> None:
    run_id = await tasks.start("unlucky", config={"failures": 1}, backoff_limit=2)
    run = await tasks.ended(run_id)
    assert (run["status"], run["output"], run["attempt"]) == ("completed", 2, 2)
    codes = [one["exitCode"] for one in await tasks.values(run_id, "perdure.task.exited")]
    assert codes == [3, 0]
    [yielded] = await tasks.values(run_id, "perdure.run.yielded")
    assert yielded["reason"] == "attempt_failed"


async def test_a_failed_task_is_given_up_after_its_backoff_limit(tasks: Tasks) -> None:
    run = await tasks.did("unlucky", config={"failures": 9}, backoff_limit=1)
    assert (run["status"], run["attempt"], run["exit_code"]) == ("failed", 2, 3)
    assert run["error"] == {"message": "The task ended with exit code 3.", "code": "TASK_FAILED"}


async def test_much_output_is_kept_in_order(tasks: Tasks) -> None:
    run = await tasks.did("chatty", config={"lines": 5_000})
    assert run["logs"].splitlines() == [f"line {number} é\N{REPLACEMENT CHARACTER}" for number in range(5_000)]


async def test_output_comes_while_the_task_runs(tasks: Tasks) -> None:
    run_id = await tasks.start("sleeper")
    await said(tasks, run_id, "sleeping")
    assert (await tasks.run(run_id))["status"] == "running"
    await tasks.api.json("POST", f"/runs/{run_id}/cancel")
    await tasks.ended(run_id)


async def test_a_worker_that_stops_hands_its_tasks_back(tasks: Tasks, tmp_path: Path) -> None:
    effects = tmp_path / "effects"
    config = {"effects": str(effects), "go": str(tmp_path / "go")}
    run_id = await tasks.start("once_per_file", config=config)
    await eventually(lambda: effects.exists() and effects.read_text().endswith("\n"))
    pid = int(effects.read_text().split()[2])
    await asyncio.wait_for(tasks.worker.stop(), 30)
    run: dict[str, Any] = await tasks.run(run_id)
    assert run["status"] == "pending"
    assert not alive(pid)
