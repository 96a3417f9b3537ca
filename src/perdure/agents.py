"""What the code of agents imports besides `App`: the run that they work on, and what their tools may ask of it.

`docs/agents.md` shows each in use. Nothing inside Perdure imports this module.
"""

from __future__ import annotations

from perdure.domain.artifact import Artifact
from perdure.domain.message import Message, last_user_text, text_of
from perdure.execution.artifacts import RunArtifacts
from perdure.execution.kinds.eval_context import EvalContext
from perdure.execution.kinds.workflow_context import Approval, WorkflowContext
from perdure.execution.log import RunContext
from perdure.execution.overrides import ClientTool
from perdure.execution.request import ContextDocument, RunOrigin, SpawnedFrom, StartRequest, Trigger
from perdure.execution.tool_context import current_run, idempotency_key, publish
from perdure.execution.workflow_steps import ChildFailed, Retry, StepFailed

__all__ = [
    "Approval",
    "Artifact",
    "ChildFailed",
    "ClientTool",
    "ContextDocument",
    "EvalContext",
    "Message",
    "Retry",
    "RunArtifacts",
    "RunContext",
    "RunOrigin",
    "SpawnedFrom",
    "StartRequest",
    "StepFailed",
    "Trigger",
    "WorkflowContext",
    "current_run",
    "idempotency_key",
    "last_user_text",
    "publish",
    "text_of",
]
