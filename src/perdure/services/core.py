"""What every use case needs, built once by the composition root (`app.py`)."""

from __future__ import annotations

from dataclasses import dataclass

from perdure.domain.ids import Clock
from perdure.ledger.appender import Appender
from perdure.ledger.hub import Hub
from perdure.ledger.notify import Notifier, Router
from perdure.store.database import Database
from perdure.telemetry import Metrics


@dataclass(frozen=True, slots=True)
class Core:
    """The parts that services work with. `dsn` is for those who need a connection outside the event loop."""

    dsn: str
    database: Database
    appender: Appender
    hub: Hub
    notifier: Notifier
    router: Router
    metrics: Metrics
    clock: Clock
