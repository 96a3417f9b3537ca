"""All operations of the Agent Runs dialect, in the order in which paths are tried: those with words before
`{run_id}`.
"""

from __future__ import annotations

from typing import Final

from perdure.http.agents import (
    analytics_routes,
    artifact_routes,
    run_routes,
    search_routes,
    telemetry_routes,
)
from perdure.http.operations import Operation

OPERATIONS: Final[tuple[Operation, ...]] = (
    *search_routes.OPERATIONS,
    *analytics_routes.OPERATIONS,
    *telemetry_routes.OPERATIONS,
    *run_routes.OPERATIONS,
    *artifact_routes.OPERATIONS,
)
