"""What every use case needs, built once by the composition root (`app.py`)."""

from __future__ import annotations

from dataclasses import dataclass, field

from perdure.blobs.blobs import Blobs
from perdure.domain.catalog import Published
from perdure.domain.ids import Clock, ProjectId, RunKey
from perdure.domain.signing_key import KnownKeys
from perdure.ledger.appender import Appender
from perdure.ledger.hub import Hub
from perdure.ledger.notify import Notifier, Router
from perdure.services.egress import Egress
from perdure.services.recent import Recent
from perdure.store.database import Database
from perdure.telemetry import Metrics


@dataclass(frozen=True, slots=True)
class Core:
    """The parts that services work with. `dsn` is for those who need a connection outside the event loop.

    `places` remembers for administrators in which project something is, and `private_to` whose a private run is
    (`services.scoping`); `known_agents` which agents there are and `known_targets` what
    the rest takes (`services.catalog`); `signing_keys` the keys of
    `services.signing`; `egress` says which addresses may be called; `blobs` holds the bytes of files, `url_secrets` the
    key of `services.signed_urls`.
    """

    dsn: str
    database: Database
    appender: Appender
    hub: Hub
    notifier: Notifier
    router: Router
    metrics: Metrics
    clock: Clock
    places: Recent[tuple[str, ProjectId, str], ProjectId] = field(default_factory=lambda: Recent(10_000))
    private_to: Recent[RunKey, str] = field(default_factory=lambda: Recent(10_000))
    known_agents: Recent[str, bool] = field(default_factory=lambda: Recent(10_000))
    known_targets: Recent[tuple[str, str], tuple[int, Published]] = field(default_factory=lambda: Recent(10_000))
    signing_keys: Recent[str, KnownKeys] = field(default_factory=lambda: Recent(1))
    egress: Egress = field(default_factory=Egress)
    blobs: Blobs = field(default_factory=Blobs)
    url_secrets: Recent[str, bytes] = field(default_factory=lambda: Recent(1))
