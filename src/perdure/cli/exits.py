"""What the exit codes mean. `docs/cli.md` repeats them."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit code of a command that was understood (a wrong option is 2, as everywhere)."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> ExitCode:
        code = int.__new__(cls, value)
        code._value_ = value
        code.meaning = meaning
        return code

    DONE = 0, "It is done; a followed run has completed."
    FAILED = 1, "A followed run has failed; a check or the process itself has failed."
    CANCELLED = 2, "A followed run was cancelled."
    WAITING = 3, "A followed run waits for somebody: a tool result, an approval, a signal."
    REFUSED = 4, "The server refused the request, or did not answer."
    UNFINISHED = 5, "The run goes on (`runs tail` without `--follow`)."
    INTERRUPTED = 130, "Ctrl-C. A run that was followed goes on."
