"""A run's log as the history of an execution (vertesia.md 2.5): attempts, model calls, tool calls, waits and signals.

Pure: rows of the log in, events and tasks out. The words for the kinds of events are those that clients of the protocol
know from their own engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec

from perdure.domain.call import AGGREGATE, Call
from perdure.domain.event import (
    CUSTOM,
    RUN_ERROR,
    RUN_FINISHED,
    RUN_STARTED,
    STEP_RECORD,
    TOOL_CALL_RESULT,
    StoredEvents,
)
from perdure.domain.fold import SUPERSEDED, TURN_ENDED, TURN_STARTED
from perdure.domain.projection import Projector, State
from perdure.domain.transitions import INTERRUPTED

TYPES: Final = (
    RUN_STARTED, RUN_FINISHED, RUN_ERROR, CUSTOM, STEP_RECORD,
    "TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_CHUNK", "TOOL_CALL_END", TOOL_CALL_RESULT,
)  # fmt: skip
"""The types of events that say something here."""

_TYPES: Final = frozenset(TYPES)

TaskKind = Literal["tool", "model", "signal"]
TaskStatus = Literal["running", "completed", "failed", "canceled", "received"]


class Task(msgspec.Struct, kw_only=True):
    """One thing that a run did, or that was said to it. Times are ms since 1970; `ended` None: it is open."""

    kind: TaskKind
    id: str
    name: str
    attempt: int
    at: int
    status: TaskStatus
    ended: int | None = None
    arguments: str = ""
    input: object = None
    result: object = None
    error: str | None = None
    error_type: str | None = None
    iteration: int | None = None


class _Line(msgspec.Struct):
    """The members of an event that count here. Everything is `object`: a caller's events may be of any shape."""

    toolCallId: object = None
    toolCallName: object = None
    delta: object = None
    content: object = None
    isError: object = None
    cancelled: object = None
    message: object = None
    code: object = None
    name: object = None
    value: object = None


_LINE: Final = msgspec.json.Decoder(_Line)


class History:
    """Reads a run's log from its first event on. `hydrate`: with what was given and answered, not only that it was."""

    def __init__(self, hydrate: bool = False) -> None:
        self._hydrate = hydrate
        self._projector = Projector(State(), 0)
        self._attempt = 1
        self._new: list[dict[str, object]] = []
        self._at = self._event_id = 0
        self.tasks: dict[str, Task] = {}

    def add(self, row: StoredEvents) -> list[dict[str, object]]:
        """Take in the next row; answers the WorkflowRunEvents that it stands for, in order."""
        self._new = []
        if not _TYPES.isdisjoint(row.types):
            for place, (kind, line) in enumerate(zip(row.types, row.lines(), strict=True)):
                handler = _HANDLERS.get(kind)
                if handler is not None:
                    self._at, self._event_id = row.first_ts + place, row.first_event_id + place
                    # A caller's event may hold what no reader takes (a number too large, say): it says nothing here.
                    with suppress(msgspec.DecodeError, UnicodeError, RecursionError):
                        handler(self, _LINE.decode(line))
            self._model_calls(row)
        return self._new

    def open_tasks(self) -> list[Task]:
        """What has begun and not ended."""
        return [task for task in self.tasks.values() if task.ended is None]

    # --- the run ------------------------------------------------------------------------------------------------------

    def _started(self, line: _Line) -> None:
        self._say("WorkflowExecutionStarted")

    def _finished(self, line: _Line) -> None:
        self._close()
        self._say("WorkflowExecutionCompleted")

    def _failed(self, line: _Line) -> None:
        self._close()
        if line.code == "CANCELLED":
            self._say("WorkflowExecutionCanceled", error=_error(line.message, line.code))
        else:
            self._say("WorkflowExecutionFailed", error=_error(line.message, line.code))

    def _close(self) -> None:
        for task in self.open_tasks():
            task.ended, task.status = self._at, "canceled"

    # --- tool calls ---------------------------------------------------------------------------------------------------

    def _call_started(self, line: _Line) -> None:
        call_id, name = _text(line.toolCallId), _text(line.toolCallName)
        task = Task(kind="tool", id=call_id, name=name, attempt=self._attempt, at=self._at, status="running")
        self.tasks[f"tool:{call_id}"] = task
        self._say("ActivityTaskScheduled", activity=self._activity(task))

    def _call_argument(self, line: _Line) -> None:
        task = self.tasks.get(f"tool:{_text(line.toolCallId)}")
        if self._hydrate and task is not None:
            task.arguments += _text(line.delta)

    def _call_chunk(self, line: _Line) -> None:
        if isinstance(line.toolCallName, str) and f"tool:{_text(line.toolCallId)}" not in self.tasks:
            self._call_started(line)
        self._call_argument(line)

    def _call_whole(self, line: _Line) -> None:
        task = self.tasks.get(f"tool:{_text(line.toolCallId)}")
        if task is not None:
            task.input = _arguments(task.arguments)
            self._say("ActivityTaskStarted", activity=self._activity(task))

    def _call_result(self, line: _Line) -> None:
        task = self.tasks.get(f"tool:{_text(line.toolCallId)}")
        if task is None or task.ended is not None:
            return
        task.ended = self._at
        if self._hydrate:
            task.result = line.content
        activity = self._activity(task)
        if line.cancelled is True:
            task.status = "canceled"
            self._say("ActivityTaskCanceled", activity=activity)
        elif line.isError is True:
            task.status, task.error, task.error_type = "failed", _text(line.content), "tool_error"
            self._say("ActivityTaskFailed", activity=activity, error=_error(line.content, "tool_error"))
        else:
            task.status = "completed"
            self._say("ActivityTaskCompleted", activity=activity, **({"result": line.content} if self._hydrate else {}))

    def _activity(self, task: Task) -> dict[str, object]:
        given = {"input": task.input} if self._hydrate and task.input is not None else {}
        return {"id": task.id, "name": task.name, **given}

    # --- model calls --------------------------------------------------------------------------------------------------

    def _model_calls(self, row: StoredEvents) -> None:
        self._projector.add(row)
        for call in self._projector.changes.made.values():
            if call.kind == "llm" and call.call_type != AGGREGATE:
                self._model_call(call, row)
            elif call.kind == "tool" and call.tool_call_id is not None and f"tool:{call.tool_call_id}" in self.tasks:
                self.tasks[f"tool:{call.tool_call_id}"].iteration = call.iteration
        self._projector.changes.made.clear()

    def _model_call(self, call: Call, row: StoredEvents) -> None:
        counted = {"input_tokens": call.input_tokens, "output_tokens": call.output_tokens}
        usage = {name: count for name, count in counted.items() if count is not None}
        task = Task(
            kind="model",
            id=call.key,
            name=call.model or "model",
            attempt=call.attempt or self._attempt,
            at=call.at,
            status="completed" if call.success else "failed",
            ended=call.at + (call.duration_ms or 0),
            result=usage or None,
            error=None if call.success else call.error_message or call.error_type or "The request failed.",
            error_type=call.error_type,
            iteration=call.iteration,
        )
        self.tasks[call.key] = task
        self._event_id = call.event_id or row.last_event_id
        self._at = task.ended or call.at
        told: dict[str, object] = {"activity": {"id": task.id, "name": task.name}}
        if call.success:
            self._say("ActivityTaskCompleted", **told, **({"result": usage} if usage else {}))
        else:
            self._say("ActivityTaskFailed", **told, error=_error(task.error, call.error_type))

    # --- what the server writes ---------------------------------------------------------------------------------------

    def _custom(self, line: _Line) -> None:
        handler = _CUSTOM.get(line.name) if isinstance(line.name, str) else None
        if handler is not None and isinstance(line.value, dict):
            handler(self, line.value)

    def _attempted(self, value: Mapping[str, Any]) -> None:
        number = value.get("attempt")
        self._attempt = number if isinstance(number, int) else self._attempt + 1
        self._say("WorkflowTaskStarted")

    def _yielded(self, value: Mapping[str, Any]) -> None:
        self._say("WorkflowTaskFailed", error=_error(value.get("reason"), "yielded"))

    def _waiting(self, value: Mapping[str, Any]) -> None:
        self._say("WorkflowExecutionPaused", result=dict(value))

    def _signal(self, value: Mapping[str, Any]) -> None:
        self._signalled(_text(value.get("name")), value.get("payload"))

    def _stop(self, value: Mapping[str, Any]) -> None:
        self._signalled("Stop", value.get("payload"))

    def _approval(self, value: Mapping[str, Any]) -> None:
        self._signalled("ToolApproval", dict(value))

    def _signalled(self, name: str, payload: object) -> None:
        task = Task(
            kind="signal", id=f"signal:{self._event_id}", name=name, attempt=self._attempt, at=self._at,
            ended=self._at, status="received", input=payload if self._hydrate else None,
        )  # fmt: skip
        self.tasks[task.id] = task
        given = {"input": payload} if self._hydrate else {}
        self._say("WorkflowExecutionSignaled", signal={"direction": "receiving", "signalName": name, **given})

    def _superseded(self, value: Mapping[str, Any]) -> None:
        named = value.get("toolCallIds")
        for call_id in named if isinstance(named, list) else ():
            task = self.tasks.get(f"tool:{call_id}")
            if task is not None:
                task.ended, task.status = task.ended or self._at, "canceled"
                self._say("ActivityTaskCanceled", activity=self._activity(task))

    def _say(self, kind: str, **more: object) -> None:
        event = {"event_id": self._event_id, "event_time": iso_ms(self._at), "event_type": kind}
        self._new.append({**event, "attempt": self._attempt, **more})


def events_of(rows: Iterable[StoredEvents], history: History) -> list[dict[str, object]]:
    """All WorkflowRunEvents of these rows."""
    return [event for row in rows for event in history.add(row)]


def workflow_task(task: Task, run_id: str) -> dict[str, object]:
    """A WorkflowTask: an activity or a signal."""
    signal = {"signalName": task.name, "direction": "receiving"} if task.kind == "signal" else {}
    return {
        "type": "signal" if task.kind == "signal" else "activity",
        "activityId": task.id,
        "activityName": task.name,
        **({} if task.input is None else {"input": task.input}),
        "scheduled": iso_ms(task.at),
        "status": task.status,
        "attempts": task.attempt,
        "started": iso_ms(task.at),
        "completed": None if task.ended is None else iso_ms(task.ended),
        "error": task.error,
        "result": task.result,
        "runId": run_id,
        **signal,
    }


def agent_task(task: Task, run_id: str) -> dict[str, object]:
    """An AgentTask: a call of a tool or a model, or a signal."""
    status = {"failed": "error", "canceled": "warning"}.get(task.status, task.status)
    return {
        "taskType": {"tool": "tool_call", "model": "llm_call", "signal": "signal"}[task.kind],
        "toolName": task.name,
        **({"toolUseId": task.id, "toolType": "builtin"} if task.kind == "tool" else {}),
        **({} if task.iteration is None else {"iteration": task.iteration}),
        "scheduled_at": iso_ms(task.at),
        "started_at": iso_ms(task.at),
        "completed_at": None if task.ended is None else iso_ms(task.ended),
        "status": status,
        **({"parameters": task.input} if isinstance(task.input, dict) else {}),
        **({} if task.result is None or task.kind == "model" else {"result": _as_text(task.result)}),
        **({} if task.error is None else {"error": {"type": task.error_type or "error", "message": task.error}}),
        **({"direction": "receiving"} if task.kind == "signal" else {}),
        "runId": run_id,
    }


def pending_activity(activity_id: str, name: str, attempt: int, at: int | None) -> dict[str, object]:
    """A PendingActivity; there is no limit of attempts, which 0 says."""
    return {
        "activityId": activity_id,
        "activityType": name,
        "attempt": attempt,
        "maximumAttempts": 0,
        "lastStartedTime": None if at is None else iso_ms(at),
    }


def iso_ms(moment: int) -> str:
    """Milliseconds since 1970 as the dialect writes times."""
    return datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _error(message: object, kind: object) -> dict[str, object]:
    return {"message": _text(message), **({"type": kind} if isinstance(kind, str) and kind else {})}


def _arguments(text: str) -> object:
    try:
        return msgspec.json.decode(text) if text else None
    except msgspec.DecodeError:
        return text


_HANDLERS: Final[Mapping[str, Callable[[History, _Line], None]]] = MappingProxyType(
    {
        RUN_STARTED: History._started,
        RUN_FINISHED: History._finished,
        RUN_ERROR: History._failed,
        "TOOL_CALL_START": History._call_started,
        "TOOL_CALL_ARGS": History._call_argument,
        "TOOL_CALL_CHUNK": History._call_chunk,
        "TOOL_CALL_END": History._call_whole,
        TOOL_CALL_RESULT: History._call_result,
        CUSTOM: History._custom,
    }
)


def _only(kind: str) -> Callable[[History, Mapping[str, Any]], None]:
    return lambda history, _value: history._say(kind)


_CUSTOM: Final[Mapping[str, Callable[[History, Mapping[str, Any]], None]]] = MappingProxyType(
    {
        "perdure.run.attempt": History._attempted,
        "perdure.run.yielded": History._yielded,
        "perdure.run.waiting": History._waiting,
        "perdure.run.approval": History._approval,
        "perdure.run.cancelling": _only("WorkflowExecutionCancelRequested"),
        "perdure.run.restarted": _only("WorkflowExecutionRestarted"),
        "perdure.run.forked": _only("WorkflowExecutionForked"),
        "perdure.signal": History._signal,
        INTERRUPTED: History._stop,
        TURN_STARTED: _only("TurnStarted"),
        TURN_ENDED: _only("TurnCompleted"),
        SUPERSEDED: History._superseded,
    }
)
