"""`python -m bench.profiled FILE ARGUMENT…`: the command line `perdure ARGUMENT…` under cProfile.

SIGUSR1 begins to collect, SIGUSR2 stops and writes FILE, so that a profile holds the measured time and nothing else.
Only the main thread, which runs the event loop, is seen.
"""

from __future__ import annotations

import cProfile
import signal
import sys
from types import FrameType

from perdure.cli.main import app


def main(file: str, arguments: list[str]) -> None:
    """Run the command line, ready to be profiled."""
    profile = cProfile.Profile()

    def begin(number: int, frame: FrameType | None) -> None:
        profile.enable()

    def stop(number: int, frame: FrameType | None) -> None:
        profile.disable()
        profile.dump_stats(file)

    signal.signal(signal.SIGUSR1, begin)
    signal.signal(signal.SIGUSR2, stop)
    sys.argv = ["perdure", *arguments]
    app()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
