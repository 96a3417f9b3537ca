"""What a task's process says through the run's log (docs/tasks.md)."""

from __future__ import annotations

from typing import Final

LOG: Final = "perdure.log"
"""Name of an event with a piece of output: value {stream, text}. Pieces are joined as they are."""

EXITED: Final = "perdure.task.exited"
"""Name of the event with which an attempt's process ended: value {attempt, exitCode, signal?, durationMs, error?}."""

STDOUT: Final = "stdout"
STDERR: Final = "stderr"
SAID: Final = "log"
"""Lines that the task has written with `ctx.log`."""
SERVER: Final = "perdure"
"""Lines that the server adds, about the output itself."""
