"""What a row is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import msgspec

from bench.generator import Cost, Watch, drive
from bench.load.append import Log
from bench.load.scenario import Scenario
from bench.options import Sizes
from bench.server import Server

P = TypeVar("P", bound=msgspec.Struct)
R = TypeVar("R", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Measured:
    """A server to measure, how much to do, and who watches."""

    server: Server
    sizes: Sizes
    watch: Watch

    def drive(self, scenario: Scenario[P, R], params: P) -> tuple[R, Cost]:
        """Put the server under a scenario's load."""
        return drive(self.server, scenario, params, self.watch)

    def caller_run(self, public_id: str) -> Log:
        """A new run that its caller executes, in a conversation of its own: something to append to."""
        answer = self.server.ask(
            "POST",
            "/runs",
            {
                "public_id": public_id,
                "kind": "agent",
                "owner": {"kind": "project", "id": self.server.project_id},
                "conversation_mode": "create_new",
                "request": {"mode": "agent", "agent_id": "bench", "initial_status": "running"},
            },
            expected=202,
        )
        return Log(answer["conversation_id"], answer["run"]["run_id"], 0)

    def complete(self, run_id: str) -> None:
        """End a run that its caller executes."""
        self.server.ask("POST", f"/runs/{run_id}/complete", {"status": "completed"})


def mean(costs: list[Cost]) -> Cost:
    """What several measurements cost on the average."""
    count = len(costs)
    return Cost(
        sum(cost.server for cost in costs) / count,
        sum(cost.database for cost in costs) / count,
        sum(cost.load for cost in costs) / count,
    )
