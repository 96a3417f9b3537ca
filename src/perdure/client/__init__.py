"""The Python SDK: a Perdure server over HTTP, asynchronously. It shares nothing with the server but the wire."""

from __future__ import annotations

from perdure.client.batches import Batch, CancelledBatch, CreatedBatch
from perdure.client.catalog import CatalogEntry, ServingWorker
from perdure.client.client import DEFAULT_URL, Client
from perdure.client.conversation_models import (
    Conversation,
    ConversationMessage,
    InputRequest,
    InputResponse,
    Snapshot,
    SnapshotEvent,
)
from perdure.client.errors import ApiError, ClientError, UnexpectedAnswer, Unreachable
from perdure.client.models import (
    Accepted,
    Appended,
    CancelledRun,
    CancelledTree,
    CompletedRun,
    ConversationRun,
    CreatedRun,
    Event,
    Key,
    NewKey,
    OpenCall,
    Page,
    Project,
    RestartedRun,
    Run,
    RunError,
    RunStatus,
    RunTree,
    TreeNode,
    Waiting,
)
from perdure.client.remote_agents import RemoteAgent
from perdure.client.retry import NO_RETRY, RetryPolicy
from perdure.client.schedules import Schedule, TriggeredRun
from perdure.client.stream import Interruption
from perdure.client.workers import ClaimedRun, HeldRun, RequestSnapshot, Worker

__all__ = [
    "DEFAULT_URL",
    "NO_RETRY",
    "Accepted",
    "ApiError",
    "Appended",
    "Batch",
    "CancelledBatch",
    "CancelledRun",
    "CancelledTree",
    "CatalogEntry",
    "ClaimedRun",
    "Client",
    "ClientError",
    "CompletedRun",
    "Conversation",
    "ConversationMessage",
    "ConversationRun",
    "CreatedBatch",
    "CreatedRun",
    "Event",
    "HeldRun",
    "InputRequest",
    "InputResponse",
    "Interruption",
    "Key",
    "NewKey",
    "OpenCall",
    "Page",
    "Project",
    "RemoteAgent",
    "RequestSnapshot",
    "RestartedRun",
    "RetryPolicy",
    "Run",
    "RunError",
    "RunStatus",
    "RunTree",
    "Schedule",
    "ServingWorker",
    "Snapshot",
    "SnapshotEvent",
    "TreeNode",
    "TriggeredRun",
    "UnexpectedAnswer",
    "Unreachable",
    "Waiting",
    "Worker",
]
