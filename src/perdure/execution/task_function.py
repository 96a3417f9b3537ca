"""The process of a task that is a Python function: `python -m perdure.execution.task_function <folder>`.

The folder holds `job.json` (`Job`). The function's answer, or what went wrong, goes into `result.json` (`Result`). The
process ends with 0, with 1 when the function raised, or with 143 when it was asked to end and did.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import signal
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any, Final

import msgspec
from pydantic_core import PydanticSerializationError, to_json

from perdure.domain.errors import PerdureError
from perdure.execution.loading import load_app
from perdure.execution.task_context import TaskContext, TaskFiles, told_by

JOB_FILE: Final = "job.json"
RESULT_FILE: Final = "result.json"
FAILED: Final = 1
ENDED: Final = 128 + signal.SIGTERM

_WHOLE: Final = re.compile(r"(dict|Mapping)(\[.*)?|(typing\.)?Any|<class '(dict|inspect\._empty)'>")
"""An annotation, as text, with which a parameter gets the config as it is."""


class Job(msgspec.Struct, frozen=True):
    """What to run: the task of this name in the App that `app` names. `fd`: where to tell what it does."""

    app: str
    task: str
    run_id: str
    attempt: int
    config: dict[str, Any]
    output: str
    fd: int
    deadline_ms: int | None = None


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the function ended: with a JSON value, or with an error."""

    value: msgspec.Raw = msgspec.Raw(b"null")
    error: str | None = None
    code: str | None = None


class Ended(SystemExit):
    """The task was asked to end, and a plain function is left at once. `finally` and `except BaseException` see it."""


def main(folder: Path) -> int:
    """Run the job; the exit code."""
    job = msgspec.json.decode((folder / JOB_FILE).read_bytes(), type=Job)
    result, code = _result(job)
    (folder / RESULT_FILE).write_bytes(msgspec.json.encode(result))
    return code


def _result(job: Job) -> tuple[Result, int]:
    try:
        value = _run(job)
        return Result(msgspec.Raw(to_json(value))), 0
    except (Ended, asyncio.CancelledError):
        return Result(error="The task was asked to end."), ENDED
    except SystemExit as stopped:
        return _exited(stopped)
    except PydanticSerializationError as error:
        return Result(error=f"What the task returned is no JSON: {error}"), FAILED
    except PerdureError as error:
        traceback.print_exc()
        return Result(error=error.detail, code=error.code), FAILED
    except BaseException as error:
        traceback.print_exc()
        return Result(error=f"{type(error).__name__}: {error}"), FAILED


def _exited(stopped: SystemExit) -> tuple[Result, int]:
    """The function called `sys.exit`: as for every Python program, None is 0, and a text is an error."""
    if stopped.code is None or stopped.code == 0:
        return Result(), 0
    if isinstance(stopped.code, int):
        return Result(error=f"The task ended with exit code {stopped.code}."), stopped.code & 0xFF
    return Result(error=str(stopped.code)), FAILED


def _run(job: Job) -> object:
    function = load_app(job.app).tasks[job.task].function
    if function is None:
        raise TypeError(f"Task {job.task!r} is a command.")
    context = TaskContext(
        run_id=job.run_id,
        attempt=job.attempt,
        task=job.task,
        config=job.config,
        artifacts=TaskFiles(Path(job.output)),
        teller=told_by(job.fd),
        deadline_ms=job.deadline_ms,
    )
    arguments = _arguments(function, job.config)
    if inspect.iscoroutinefunction(function):
        return asyncio.run(_awaited(function, context, arguments))
    signal.signal(signal.SIGTERM, lambda number, frame: _leave(context, frame))
    return function(context, **arguments)


def _arguments(function: Callable[..., Any], config: dict[str, Any]) -> dict[str, Any]:
    """What the function gets beside its context: the config whole, or its members as its signature types them."""
    _, *parameters = inspect.signature(function).parameters.values()
    if not parameters:
        return {}
    if len(parameters) == 1 and _WHOLE.fullmatch(str(parameters[0].annotation)):
        return {parameters[0].name: config}
    # Many times as slow to import as all the rest, which a task that takes its config as it is need not wait for.
    inputs = import_module("perdure.execution.inputs")
    arguments: dict[str, Any] = inputs.input_shape(function).arguments(config)
    return arguments


def _leave(context: TaskContext, frame: FrameType | None) -> None:
    """The first SIGTERM leaves the function where it stands; while it cleans up, no other one disturbs it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    context.asked_to_end.set()
    raise Ended(ENDED)


async def _awaited(function: Callable[..., Any], context: TaskContext, arguments: dict[str, Any]) -> object:
    """A coroutine function is cancelled when it is asked to end."""
    task = asyncio.current_task()

    def end() -> None:
        if task is not None and not context.cancelled:
            context.asked_to_end.set()
            task.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
    return await function(context, **arguments)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
