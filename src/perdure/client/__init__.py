"""The Python SDK: a Perdure server over HTTP, asynchronously. It shares nothing with the server but the wire."""

from __future__ import annotations

from perdure.client.client import DEFAULT_URL, Client
from perdure.client.errors import ApiError, ClientError, UnexpectedAnswer, Unreachable
from perdure.client.models import (
    Accepted,
    Appended,
    CancelledRun,
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
    Waiting,
)
from perdure.client.retry import NO_RETRY, RetryPolicy
from perdure.client.stream import Interruption

__all__ = [
    "DEFAULT_URL",
    "NO_RETRY",
    "Accepted",
    "ApiError",
    "Appended",
    "CancelledRun",
    "Client",
    "ClientError",
    "CompletedRun",
    "ConversationRun",
    "CreatedRun",
    "Event",
    "Interruption",
    "Key",
    "NewKey",
    "OpenCall",
    "Page",
    "Project",
    "RestartedRun",
    "RetryPolicy",
    "Run",
    "RunError",
    "RunStatus",
    "UnexpectedAnswer",
    "Unreachable",
    "Waiting",
]
