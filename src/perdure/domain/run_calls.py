"""From a run's log to its calls, event by event: model calls from the recorded steps, tool calls from public events.

A run that a caller mirrors has no recorded steps: there the last event's token counts stand for all model calls.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from perdure.domain.call import AGGREGATE, MAX_MESSAGE, Call, clipped, countable, tool_key

MAX_OPEN: Final = 200
MAX_ENDED: Final = 50
MAX_ARGUMENTS: Final = 16_000


class OpenCall(msgspec.Struct):
    """A tool call: since when it runs, and the arguments it came with (None: too long to be looked at)."""

    id: str
    name: str
    at: int
    event_id: int
    iteration: int
    arguments: str | None = ""
    argument_bytes: int = 0


class EndedCall(msgspec.Struct):
    """A tool call whose result may still be taken back, or explained by the step that follows it."""

    open: OpenCall
    message_id: str
    made: Call


class Usage(msgspec.Struct):
    """Tokens, as a recorded response says."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0


class _Part(msgspec.Struct):
    part_kind: str = ""


class Response(msgspec.Struct):
    """What counts of a recorded model response."""

    usage: Usage = msgspec.field(default_factory=Usage)
    model_name: str | None = None
    provider_name: str | None = None
    parts: list[_Part] = []


class Try(msgspec.Struct, omit_defaults=True):
    """A request to a model that failed. `at`: its start, ms since 1970."""

    at: int
    ms: int
    error: str
    message: str = ""


class Meter(msgspec.Struct, omit_defaults=True):
    """What is recorded beside a model's response: how long it took, and which tries had failed before.

    `at`: when the successful request was sent, ms since 1970; None for a request that never succeeded.
    """

    model: str | None = None
    provider: str | None = None
    at: int | None = None
    ms: int | None = None
    failed: list[Try] = []


class Finished(msgspec.Struct, rename="camel"):
    """What a terminal event may say of the model calls (veryfront.md 1.3)."""

    provider: object = None
    model: object = None
    input_tokens: object = None
    output_tokens: object = None
    cached_input_tokens: object = None


class Changes(msgspec.Struct):
    """What an event changes among the calls: some are new or known better, some did not happen after all."""

    made: dict[str, Call] = {}
    gone: set[str] = set()

    def make(self, call: Call) -> None:
        """A call has ended, or is known better."""
        self.made[call.key] = call
        self.gone.discard(call.key)

    def remove(self, key: str) -> None:
        """A call was taken back."""
        self.made.pop(key, None)
        self.gone.add(key)


class Calls(msgspec.Struct):
    """The running state: what is open, and where in the run's turns it stands."""

    open: dict[str, OpenCall] = {}
    ended: dict[str, EndedCall] = {}
    iteration: int = 1
    answered: bool = False
    next_type: Literal["start", "resume_tools", "resume_user"] = "start"
    recorded: bool = False

    # --- tool calls ------------------------------------------------------------------------------------------------

    def started(self, call_id: str, name: str, at: int, event_id: int) -> None:
        """The agent calls a tool. The first call after a result belongs to the next turn of the agent."""
        if self.answered:
            self.iteration += 1
            self.answered = False
        self.open.pop(call_id, None)
        self.open[call_id] = OpenCall(call_id, name, at, event_id, self.iteration)
        _bound(self.open, MAX_OPEN)

    def argument(self, call_id: str | None, delta: str) -> None:
        """More of a call's arguments; None goes on with the last one."""
        call = self.open.get(call_id) if call_id is not None else next(reversed(self.open.values()), None)
        if call is not None:
            call.argument_bytes += len(delta.encode())
            if call.arguments is not None:
                call.arguments = call.arguments + delta if call.argument_bytes <= MAX_ARGUMENTS else None

    def goes(self, call_id: str, at: int) -> None:
        """The tool runs from here on: its arguments are whole, or somebody allowed it."""
        call = self.open.get(call_id)
        if call is not None:
            call.at = at

    def returned(
        self, call_id: str, message_id: str, at: int, content: str, error: str | None, changes: Changes
    ) -> None:
        """A tool call came to its end; `error` says of what kind, None when it succeeded."""
        call = self.open.pop(call_id, None)
        self.answered = True
        self.next_type = "resume_tools"
        if call is None:
            return
        made = Call(
            key=tool_key(call_id),
            kind="tool",
            at=call.at,
            event_id=call.event_id,
            duration_ms=max(0, at - call.at),
            success=error is None,
            error_type=error,
            error_message=None if error is None else clipped(content),
            tool=call.name,
            tool_type="builtin",
            tool_call_id=call_id,
            iteration=call.iteration,
            input_bytes=call.argument_bytes,
            output_bytes=len(content.encode()),
            parameters=_parameters(call.arguments),
        )
        self.ended[call_id] = EndedCall(call, message_id, made)
        _bound(self.ended, MAX_ENDED)
        changes.make(made)

    def explained(self, call_id: str, error_type: str, changes: Changes) -> None:
        """The recorded step says which error a failed call met."""
        ended = self.ended.get(call_id)
        if ended is not None and not ended.made.success and error_type:
            ended.made = msgspec.structs.replace(ended.made, error_type=error_type)
            changes.make(ended.made)

    def take_back(self, message_id: str | None, call_ids: list[str], changes: Changes) -> None:
        """A result was taken back, so that its call is open again; or calls were, so that there are none."""
        for call_id, ended in list(self.ended.items()):
            if message_id is not None and ended.message_id == message_id:
                del self.ended[call_id]
                self.open[call_id] = ended.open
                changes.remove(ended.made.key)
        for call_id in call_ids:
            self.open.pop(call_id, None)
            self.ended.pop(call_id, None)
            changes.remove(tool_key(call_id))

    # --- model calls -----------------------------------------------------------------------------------------------

    def responded(self, response: Response, meter: Meter, at: int, event_id: int, changes: Changes) -> None:
        """A model answered, and its response was recorded at `at`."""
        self._tried(meter, event_id, response.model_name, response.provider_name, changes)
        usage = response.usage
        changes.make(
            Call(
                key=f"llm:{event_id}",
                kind="llm",
                at=at if meter.at is None else meter.at,
                event_id=event_id,
                duration_ms=meter.ms,
                success=True,
                model=response.model_name or meter.model,
                environment=response.provider_name or meter.provider,
                iteration=self.iteration,
                call_type=self.next_type,
                attempt=len(meter.failed) + 1,
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cached_input_tokens=usage.cache_read_tokens,
                cache_write_tokens=usage.cache_write_tokens,
                tool_use_count=sum(part.part_kind == "tool-call" for part in response.parts),
            )
        )
        self.recorded = True
        self.next_type = "resume_tools"

    def gave_up(self, meter: Meter, event_id: int, changes: Changes) -> None:
        """A model did not answer, however often it was asked."""
        self._tried(meter, event_id, meter.model, meter.provider, changes)
        self.recorded = True

    def _tried(self, meter: Meter, event_id: int, model: str | None, provider: str | None, changes: Changes) -> None:
        for number, tried in enumerate(meter.failed, start=1):
            changes.make(
                Call(
                    key=f"llm:{event_id}:{number}",
                    kind="llm",
                    at=tried.at,
                    event_id=event_id,
                    duration_ms=tried.ms,
                    success=False,
                    error_type=tried.error,
                    error_message=clipped(tried.message),
                    model=model or meter.model,
                    environment=provider or meter.provider,
                    iteration=self.iteration,
                    call_type=self.next_type,
                    attempt=number,
                )
            )

    def finished(self, said: Finished | None, at: int, event_id: int, changes: Changes) -> None:
        """The run ended: open tool calls have failed, and its token counts may stand for its model calls."""
        for call_id in list(self.open):
            self.returned(call_id, "", at, "", "unanswered", changes)
        self.ended.clear()
        given, made = _count(said and said.input_tokens), _count(said and said.output_tokens)
        if said is None or self.recorded or given is made is None:
            return
        changes.make(
            Call(
                key=f"llm:{event_id}",
                kind="llm",
                at=at,
                event_id=event_id,
                success=True,
                model=_text(said.model),
                environment=_text(said.provider),
                call_type=AGGREGATE,
                input_tokens=given or 0,
                output_tokens=made or 0,
                cached_input_tokens=_count(said.cached_input_tokens),
            )
        )

    def asked(self) -> None:
        """The user said something: the next model call is the answer."""
        if self.recorded:
            self.next_type = "resume_user"


def _parameters(arguments: str | None) -> dict[str, object] | None:
    try:
        return None if not arguments else countable(msgspec.json.decode(arguments))
    except (msgspec.DecodeError, UnicodeError):
        return None


def _bound(kept: dict[str, OpenCall] | dict[str, EndedCall], limit: int) -> None:
    while len(kept) > limit:
        del kept[next(iter(kept))]


def _count(value: object) -> int | None:
    """A number of tokens that a caller names; None for what is none."""
    whole = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if whole and isinstance(value, int | float) and 0 <= value < 2**53 else None


def _text(value: object) -> str | None:
    return value[:MAX_MESSAGE].replace("\x00", "") if isinstance(value, str) else None
