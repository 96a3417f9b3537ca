"""All operations of the canonical runs dialect, in the order in which paths are tried: hot ones first."""

from __future__ import annotations

from typing import Final

from perdure.http.operations import Operation
from perdure.http.runs import (
    agent_run_routes,
    batch_routes,
    catalog_routes,
    control_routes,
    conversation_routes,
    events_routes,
    fleet_routes,
    input_request_routes,
    push_service_routes,
    routes,
    schedule_routes,
    snapshot_routes,
    token_routes,
    tree_routes,
    watch_routes,
    webhook_routes,
    worker_routes,
)

OPERATIONS: Final[tuple[Operation, ...]] = (
    events_routes.APPEND,
    events_routes.STREAM,
    routes.CREATE,
    routes.GET,
    events_routes.CONVERSATION_RUN,
    events_routes.CONVERSATION_STREAM,
    routes.LIST,
    events_routes.EVENTS,
    events_routes.CONVERSATION_EVENTS,
    control_routes.CANCEL_RUN,
    control_routes.COMPLETE_RUN,
    control_routes.RESUME_RUN,
    control_routes.RESTART_RUN,
    control_routes.SIGNAL_RUN,
    *tree_routes.OPERATIONS,
    routes.LIST_OF_PROJECT,
    watch_routes.STREAM,
    watch_routes.ACTIVITY,
    watch_routes.USAGE,
    *worker_routes.WORKER_OPERATIONS,
    *push_service_routes.OPERATIONS,
    *token_routes.TOKEN_OPERATIONS,
    *conversation_routes.OPERATIONS,
    *input_request_routes.OPERATIONS,
    snapshot_routes.SNAPSHOT,
    *agent_run_routes.OPERATIONS,
    *schedule_routes.SCHEDULE_OPERATIONS,
    *batch_routes.OPERATIONS,
    catalog_routes.LIST,
    fleet_routes.LIST,
    *webhook_routes.WEBHOOK_OPERATIONS,
)
