"""`python -m bench.load SCENARIO`: parameters on standard input, the result on standard output."""

from __future__ import annotations

import sys

from bench.load.append import APPEND
from bench.load.dispatch import DISPATCH
from bench.load.followers import FOLLOWERS
from bench.load.replay import REPLAY
from bench.load.requests import REQUESTS
from bench.load.runs import RUNS
from bench.load.scenario import serve
from bench.load.tokens import TOKENS
from bench.load.wire import LoadError
from bench.load.workflows import SLEEPERS, STEPS


def main(name: str) -> None:
    """Run the scenario of that name."""
    match name:
        case APPEND.name:
            serve(APPEND)
        case DISPATCH.name:
            serve(DISPATCH)
        case FOLLOWERS.name:
            serve(FOLLOWERS)
        case REPLAY.name:
            serve(REPLAY)
        case REQUESTS.name:
            serve(REQUESTS)
        case RUNS.name:
            serve(RUNS)
        case SLEEPERS.name:
            serve(SLEEPERS)
        case STEPS.name:
            serve(STEPS)
        case TOKENS.name:
            serve(TOKENS)
        case _:
            raise LoadError(f"There is no scenario {name!r}.")


if __name__ == "__main__":
    main(sys.argv[1])
