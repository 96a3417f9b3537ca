"""Runs one attempt of a task: a process of its own, whose output becomes the run's log (docs/tasks.md)."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from ag_ui.core import CustomEvent

from perdure.domain.run import RunError
from perdure.domain.task_log import EXITED, STDERR, STDOUT
from perdure.execution import task_files, task_process
from perdure.execution.definitions import TaskDefinition
from perdure.execution.log import Completed, Outcome, RunContext, RunFailed
from perdure.execution.recorder import LeaseLost
from perdure.execution.retries import AttemptFailed
from perdure.execution.task_function import JOB_FILE, RESULT_FILE, Job, Result
from perdure.execution.task_output import TaskOutput
from perdure.execution.task_process import Exit, Program, TaskProcess
from perdure.execution.task_site import TaskSite
from perdure.services.deadlines import PAST_DEADLINE, TIMED_OUT

GRACE_SECONDS: Final = 3.0
"""How long a task that was asked to end may take. It is less than a worker that stops waits for its attempts."""

MAX_OUTPUT_BYTES: Final = 1024 * 1024
CPU_LIMIT: Final = "CPU_LIMIT"

_OUTPUT_FOLDER: Final = "output"
_CONFIG_FILE: Final = "config.json"
_ANSWER_FILE: Final = "answer.json"
_CARRY_SECONDS: Final = 1.0
_MEGABYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Deadline:
    """When a run's time is over, in integer milliseconds, and the error that it ends with."""

    at_ms: int
    error: RunError


@dataclass(frozen=True, slots=True)
class _Ended:
    exit: Exit
    timed_out: RunError | None
    milliseconds: int


async def run_task(definition: TaskDefinition, run: RunContext, site: TaskSite) -> Outcome:
    """One attempt. Raises AttemptFailed where the task failed, and RunFailed where its time was over."""
    async with _work_folder() as folder:
        output = TaskOutput(run)
        ended = await _executed(definition, run, site, folder, output)
        error, value = _judged(definition, folder, ended, output)
        await _tell(run, ended, None if error is None else error.detail)
        await task_files.keep(run, folder / _OUTPUT_FOLDER, definition.output_folder)
        if error is not None:
            raise error
        return Completed(value, exit_code=0)


@asynccontextmanager
async def _work_folder() -> AsyncIterator[Path]:
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="perdure-task-"))
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _executed(
    definition: TaskDefinition, run: RunContext, site: TaskSite, folder: Path, output: TaskOutput
) -> _Ended:
    """The task's process from its start to its end. When this is cancelled it is ended first, TERM then KILL."""
    deadline = _deadline(definition, run)
    with ExitStack() as unless_started:
        ours, theirs = map(unless_started.enter_context, socket.socketpair())
        ends_at = None if deadline is None else deadline.at_ms
        program = _program(definition, run, site, folder, theirs.fileno(), ends_at)
        began = run.clock()
        process = await task_process.start(program, folder, ours, theirs)
        unless_started.pop_all()
    exiting = asyncio.create_task(process.wait())
    carrying = asyncio.gather(
        output.carry(STDOUT, process.stdout), output.carry(STDERR, process.stderr), output.obey(process.told)
    )
    try:
        left = None if deadline is None else max(0.0, (deadline.at_ms - run.clock()) / 1000)
        await asyncio.wait((exiting,), timeout=left)
        timed_out = None if deadline is None or exiting.done() else deadline.error
        if timed_out is not None:
            await _end(process, exiting)
        await carrying
        return _Ended(await exiting, timed_out, run.clock() - began)
    except asyncio.CancelledError:
        await _end(process, exiting)
        await asyncio.wait((carrying,), timeout=_CARRY_SECONDS)
        with suppress(LeaseLost):
            await _tell(run, _Ended(await exiting, None, run.clock() - began), "The task was asked to end.")
        raise
    finally:
        process.close()
        carrying.cancel()
        with suppress(asyncio.CancelledError):
            await carrying


async def _end(process: TaskProcess, exiting: asyncio.Task[Exit]) -> None:
    process.ask_to_end()
    await asyncio.wait((exiting,), timeout=GRACE_SECONDS)
    if not exiting.done():
        process.kill()
        await asyncio.wait((exiting,))


def _deadline(definition: TaskDefinition, run: RunContext) -> _Deadline | None:
    """When the run's time is over (`services/deadlines.py`): its own deadline, or its timeout, which counts from the
    run's start over all attempts, whichever comes first."""
    own = None if run.deadline_ms is None else _Deadline(run.deadline_ms, PAST_DEADLINE)
    seconds = run.spec.timeout_seconds if run.spec.timeout_seconds is not None else definition.timeout_seconds
    if seconds is None:
        return own
    began = run.clock() if run.started_ms is None else run.started_ms
    timeout = _Deadline(began + round(seconds * 1000), TIMED_OUT)
    return timeout if own is None or timeout.at_ms <= own.at_ms else own


def _program(
    definition: TaskDefinition, run: RunContext, site: TaskSite, folder: Path, fd: int, deadline: int | None
) -> Program:
    """What to start, with the files that it reads."""
    (folder / _OUTPUT_FOLDER).mkdir()
    config = run.spec.config or {}
    (folder / _CONFIG_FILE).write_bytes(msgspec.json.encode(config))
    argv: tuple[str, ...] = definition.command
    if not argv:
        if site.app is None:
            raise RunFailed("Task functions need an App that was loaded by name: their processes load it, too.")
        job = Job(
            app=site.app,
            task=definition.name,
            run_id=run.run_id,
            attempt=run.attempt,
            config=config,
            output=str(folder / _OUTPUT_FOLDER),
            fd=fd,
            deadline_ms=deadline,
        )
        (folder / JOB_FILE).write_bytes(msgspec.json.encode(job))
        argv = (sys.executable, "-m", "perdure.execution.task_function", str(folder))
    env = {
        **site.environment_for(definition.inherit),
        **definition.env,
        "PYTHONUNBUFFERED": "1",
        "PERDURE_RUN_ID": run.run_id,
        "PERDURE_ATTEMPT": str(run.attempt),
        "PERDURE_CONFIG_PATH": str(folder / _CONFIG_FILE),
        "PERDURE_OUTPUT_DIR": str(folder / _OUTPUT_FOLDER),
        "PERDURE_RESULT_PATH": str(folder / _ANSWER_FILE),
        "VERYFRONT_RUN_RESULT_PATH": str(folder / _ANSWER_FILE),
    }
    memory = None if definition.memory_mb is None else definition.memory_mb * _MEGABYTE
    return Program(argv, env, memory, definition.cpu_seconds)


def _judged(
    definition: TaskDefinition, folder: Path, ended: _Ended, output: TaskOutput
) -> tuple[RunFailed | None, object]:
    """Why the attempt failed, or what it answers."""
    code, number = ended.exit.exit_code, ended.exit.signal
    if ended.timed_out is not None:
        return AttemptFailed(ended.timed_out.message, ended.timed_out.code, retries=None, exit_code=code), None
    if number == signal.SIGXCPU:
        detail = f"The task used more processor time than its cpu_seconds, {definition.cpu_seconds}."
        return AttemptFailed(detail, CPU_LIMIT, retries=definition.backoff_limit, exit_code=code), None
    result = _result(folder) if not definition.command else Result()
    if result.error is not None and code != 0:
        return AttemptFailed(result.error, result.code, retries=definition.backoff_limit, exit_code=code), None
    if code != 0:
        said = output.last_line(STDERR)
        how = f"was killed by signal {number}" if number else f"ended with exit code {code}"
        detail = f"The task {how}{f': {said[:1000]}' if said else '.'}"
        return AttemptFailed(detail, retries=definition.backoff_limit, exit_code=code), None
    try:
        value = _answer(folder, output) if definition.command else bytes(result.value)
        if len(value) > MAX_OUTPUT_BYTES:
            raise ValueError(f"it has more than {MAX_OUTPUT_BYTES} bytes. Write a file into the output folder instead")
        return None, msgspec.json.decode(value)
    except ValueError as error:
        detail = f"The task's result cannot be taken: {error}."
        return AttemptFailed(detail, "INVALID_RESULT", retries=None, exit_code=code), None


def _result(folder: Path) -> Result:
    place = folder / RESULT_FILE
    return msgspec.json.decode(place.read_bytes(), type=Result) if place.exists() else Result()


def _answer(folder: Path, output: TaskOutput) -> bytes:
    """A command's result: its result file, or the last line of its output where that is JSON, or null."""
    place = folder / _ANSWER_FILE
    if place.exists():
        with place.open("rb") as opened:
            return opened.read(MAX_OUTPUT_BYTES + 1)
    line = output.last_line(STDOUT).encode()
    try:
        msgspec.json.decode(line)
    except ValueError:
        return b"null"
    return line


async def _tell(run: RunContext, ended: _Ended, error: str | None) -> None:
    value: dict[str, object] = {
        "attempt": run.attempt,
        "exitCode": ended.exit.exit_code,
        "durationMs": ended.milliseconds,
    }
    if ended.exit.signal:
        value["signal"] = signal.Signals(ended.exit.signal).name
    if error is not None:
        value["error"] = error
    await run.run_log.emit(CustomEvent(name=EXITED, value=value))
