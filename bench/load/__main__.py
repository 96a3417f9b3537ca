"""`python -m bench.load SCENARIO`: parameters on standard input, the result on standard output."""

from __future__ import annotations

import sys
from types import MappingProxyType
from typing import Any, Final

from bench.load.append import APPEND
from bench.load.browsing import BROWSING
from bench.load.dispatch import DISPATCH
from bench.load.followers import FOLLOWERS
from bench.load.opening import OPENING
from bench.load.replay import REPLAY
from bench.load.requests import REQUESTS
from bench.load.runs import RUNS
from bench.load.scenario import Scenario, serve
from bench.load.tokens import TOKENS
from bench.load.wire import LoadError
from bench.load.workflows import SLEEPERS, STEPS

_ALL: Final[tuple[Scenario[Any, Any], ...]] = (
    APPEND,
    BROWSING,
    DISPATCH,
    FOLLOWERS,
    OPENING,
    REPLAY,
    REQUESTS,
    RUNS,
    SLEEPERS,
    STEPS,
    TOKENS,
)
_BY_NAME: Final = MappingProxyType({scenario.name: scenario for scenario in _ALL})


def main(name: str) -> None:
    """Run the scenario of that name."""
    scenario = _BY_NAME.get(name)
    if scenario is None:
        raise LoadError(f"There is no scenario {name!r}.")
    serve(scenario)


if __name__ == "__main__":
    main(sys.argv[1])
