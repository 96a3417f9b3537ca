"""All operations of the Agent Runs dialect, in the order in which paths are tried: those with words before
`{run_id}`.
"""

from __future__ import annotations

from typing import Final

from perdure.http.agents import (
    analytics_routes,
    artifact_routes,
    details_routes,
    message_routes,
    process_routes,
    query_routes,
    record_routes,
    run_routes,
    search_routes,
    signal_routes,
    telemetry_routes,
    token_routes,
)
from perdure.http.operations import Operation

OPERATIONS: Final[tuple[Operation, ...]] = (
    *message_routes.OPERATIONS,
    *search_routes.OPERATIONS,
    *analytics_routes.OPERATIONS,
    *telemetry_routes.OPERATIONS,
    *record_routes.OPERATIONS,
    *details_routes.OPERATIONS,
    *process_routes.OPERATIONS,
    *run_routes.OPERATIONS,
    *signal_routes.OPERATIONS,
    *query_routes.OPERATIONS,
    *artifact_routes.OPERATIONS,
    *token_routes.OPERATIONS,
)
