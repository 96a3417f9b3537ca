"""Every error that Perdure raises on purpose.

Each owns a stable code; `http/errors.py` maps the HTTP status in one place.
"""

from __future__ import annotations


class PerdureError(Exception):
    """Base of all errors that a caller may see. The class docstring is the default detail."""

    code = "internal_error"

    def __init__(self, detail: str | None = None) -> None:
        doc = type(self).__doc__ or self.code
        self.detail = detail if detail is not None else doc.strip().splitlines()[0]
        super().__init__(self.detail)


class InvalidRequest(PerdureError):
    """The request is not valid.

    `pointer` is the JSON pointer of the offending place in the body, or None where the place is elsewhere.
    """

    code = "invalid_request"

    def __init__(self, detail: str | None = None, *, pointer: str | None = None) -> None:
        super().__init__(detail)
        self.pointer = pointer


class PayloadTooLarge(InvalidRequest):
    """The payload is too large."""

    code = "payload_too_large"


class EgressRefused(InvalidRequest):
    """The server may not call that address: PERDURE_EGRESS_ALLOW says which private ones it may."""

    code = "egress_refused"


class NotAuthenticated(PerdureError):
    """Send an API key or token: `Authorization: Bearer …` or `X-API-Key: …`."""

    code = "not_authenticated"


class NotAllowed(PerdureError):
    """This principal may not do that."""

    code = "not_allowed"


class SignedUrlRefused(NotAllowed):
    """The signed URL is not one of ours, or it is for another method."""

    code = "signed_url_refused"


class NotFound(PerdureError):
    """There is nothing here by that name, or it belongs to somebody else."""

    code = "not_found"


class RunNotFound(NotFound):
    """There is no such run."""

    code = "run_not_found"


class ConversationNotFound(NotFound):
    """There is no such conversation."""

    code = "conversation_not_found"


class ProjectNotFound(NotFound):
    """There is no such project."""

    code = "project_not_found"


class KeyNotFound(NotFound):
    """There is no such API key."""

    code = "key_not_found"


class AgentNotFound(NotFound):
    """No worker serves an agent of that name."""

    code = "agent_not_found"


class TargetNotFound(NotFound):
    """No worker serves a workflow, task or eval of that name."""

    code = "target_not_found"


class WorkerNotFound(NotFound):
    """There is no such worker: register again."""

    code = "worker_not_found"


class PushServiceNotFound(NotFound):
    """There is no such push service: register again."""

    code = "push_service_not_found"


class ArtifactNotFound(NotFound):
    """There is no such artifact."""

    code = "artifact_not_found"


class PreconditionFailed(PerdureError):
    """The artifact has changed since it was read: it is of another generation."""

    code = "precondition_failed"


class Conflict(PerdureError):
    """The request contradicts what is stored."""

    code = "conflict"


class ConversationBusy(Conflict):
    """Another run of the conversation is live, and its policy lets no second one in. `run_id`: that run."""

    code = "conversation_busy"

    def __init__(self, run_id: str | None = None) -> None:
        which = "Another run" if run_id is None else f"Run {run_id}"
        super().__init__(f"{which} of this conversation is live, and the policy lets no second one begin.")
        self.run_id = run_id


class RunExists(Conflict):
    """A run with this public_id exists and is of another kind, owner or target."""

    code = "run_exists"


class IdempotencyKeyReused(Conflict):
    """This Idempotency-Key was used with another request."""

    code = "idempotency_key_reused"


class RunNotTerminal(Conflict):
    """Only a run that has ended can be restarted."""

    code = "run_not_terminal"


class RunIsTerminal(Conflict):
    """The run has ended. Restart it to go on."""

    code = "run_is_terminal"


class LeaseLost(Conflict):
    """The worker does not hold this run: its lease has expired, or the run has ended."""

    code = "lease_lost"


class ToolResultConflict(Conflict):
    """Another result was already given for this tool call."""

    code = "TOOL_RESULT_CONFLICT"


class ToolResultNotWaiting(Conflict):
    """The run is not waiting for this tool call."""

    code = "TOOL_RESULT_NOT_WAITING"


class RunNotActive(PerdureError):
    """The run has ended, so it takes no tool result."""

    code = "RUN_NOT_ACTIVE"


class AppendRefused(PerdureError):
    """Base of what an append answers when it stores nothing (veryfront.md section 0, rules 1-4)."""

    code = "append_refused"


class CursorMismatch(AppendRefused):
    """External run event cursor mismatch"""

    code = "cursor_mismatch"


class TerminalRun(AppendRefused):
    """Cannot append external events to a terminal run"""

    code = "run_is_terminal"


class WaitingRun(AppendRefused):
    """Cannot append external events while the run is waiting for a tool result"""

    code = "run_is_waiting"


class EventTooLarge(AppendRefused):
    """Agent run event payload must be less than 256 KB"""

    code = "event_too_large"


class NotStarted(AppendRefused):
    """The run is pending; the first append of the caller that executes it starts it."""

    code = "run_not_started"


class StaleFence(AppendRefused):
    """The writer has lost its lease: a newer attempt holds the run."""

    code = "stale_fence"


class NotBuilt(PerdureError):
    """The protocol has this, and the server does not (yet)."""

    code = "not_built"


class Unavailable(PerdureError):
    """The server cannot do this just now. Try again."""

    code = "unavailable"
