"""Make the engine that the settings name."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from perdure.domain.errors import PerdureError
from perdure.execution.engines.base import Engine
from perdure.execution.engines.postgres import PostgresEngine
from perdure.execution.hands import WorkerOptions
from perdure.services.core import Core


class EngineNotInstalled(PerdureError):
    """The engine needs a package that is not installed."""

    code = "engine_not_installed"


@dataclass(frozen=True, slots=True)
class TemporalPlace:
    """How Temporal is reached (`PERDURE_TEMPORAL_…`). `tls` None: encrypted where there is a key or certificate."""

    address: str = "127.0.0.1:7233"
    namespace: str = "default"
    task_queue: str = "perdure"
    api_key: str | None = None
    tls: bool | None = None
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_server_name: str | None = None


def open_engine(
    name: Literal["postgres", "temporal"], core: Core, options: WorkerOptions, place: TemporalPlace
) -> Engine:
    """The engine of that name, not started yet. Raises EngineNotInstalled."""
    if name == "postgres":
        return PostgresEngine(core, options)
    try:  # loaded here only: it is an extra, and it takes its time
        module = importlib.import_module("perdure.execution.engines.temporal")
    except ModuleNotFoundError as error:
        raise EngineNotInstalled(
            f"PERDURE_ENGINE=temporal needs the package {error.name}: pip install 'perdure[temporal]'"
        ) from error
    engine: Engine = module.TemporalEngine(core, options, place)
    return engine
