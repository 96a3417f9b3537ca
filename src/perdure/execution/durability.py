"""Durable steps for Pydantic AI agents: one capability that wraps model requests and tool calls (design section 4).

A recorded model response or tool result is read from the log; nothing that is recorded is executed again. What is not
recorded was in flight when the attempt was lost: it runs again, with the same idempotency key, and what it had streamed
is taken back by an explicit event. A model is always asked for a stream, whose events are emitted as they come; the
library then sees the whole response, so that a broken stream can be retried in place.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from ag_ui.core import BaseEvent
from pydantic import ValidationError
from pydantic_ai import CallDeferred, ModelRetry, RunContext
from pydantic_ai.capabilities import AbstractCapability, CapabilityOrdering, ValidatedToolArgs, WrapToolExecuteHandler
from pydantic_ai.durable_exec import record_durable_unit
from pydantic_ai.exceptions import ApprovalRequired, SkipToolExecution, ToolFailed, ToolFailedError, ToolRetryError
from pydantic_ai.messages import (
    AgentStreamEvent,
    CustomEvent,
    FunctionToolResultEvent,
    ModelMessage,
    ModelResponse,
    OutputToolResultEvent,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models import CompletedStreamedResponse, Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from perdure.domain.agui import client_event, custom_event, result_message_id
from perdure.domain.closing import superseded
from perdure.domain.past import ERROR_STEP, MODEL_STEP
from perdure.execution import tool_steps
from perdure.execution.emitter import ATTEMPT_LOST, MODEL_RETRY, Emitter
from perdure.execution.model_meter import ModelMeter, load_response
from perdure.execution.model_retry import RetryPolicy, retry_wait
from perdure.execution.translate import ResponseTranslator, response_events, tool_result

CAPABILITY_ID: Final = "perdure"


@dataclass(frozen=True, slots=True)
class _Request:
    """A request to a model, as the library makes it."""

    model: Model
    messages: list[ModelMessage]
    settings: ModelSettings | None
    parameters: ModelRequestParameters
    context: RunContext[Any] | None = None


class Durability(AbstractCapability[Any]):
    """Makes one attempt of an agent durable. Pass a new one to each `Agent.iter`.

    `earlier_calls` are the ids of the tool calls in the conversation before this run.
    """

    id: str | None = CAPABILITY_ID

    def __init__(self, emitter: Emitter, policy: RetryPolicy, earlier_calls: Iterable[str] = ()) -> None:
        self.emitter = emitter
        self._run = emitter.run
        self._policy = policy
        self._earlier_calls = frozenset(earlier_calls)
        self._responses = 0
        self._requests = 0
        emitter.fold.reserve(self._earlier_calls)

    @classmethod
    def get_serialization_name(cls) -> str | None:
        """It belongs to one attempt, so no agent spec can name it."""
        return None

    def get_ordering(self) -> CapabilityOrdering:
        """Around everything: hooks of other capabilities are not run again for a recorded step."""
        return CapabilityOrdering(position="outermost")

    # --- model requests ----------------------------------------------------------------------------------------------

    def get_wrapper_model(self, model: Model) -> Model:
        """The model that reads from the log, or streams and records."""
        return _DurableModel(model, self)

    async def respond(self, request: _Request) -> ModelResponse:
        """The recorded response to the next request of this run, or the model's."""
        self.emitter.check()
        key = f"{MODEL_STEP}{self._responses + 1}"
        recorded = self._run.run_log.step(key)
        if recorded is None:
            self._run.progress_made.live = True
            response = await self._ask(request, key)
        else:
            response = load_response(recorded)
        self._responses += 1
        record_durable_unit(executed=recorded is None)
        return response

    async def _ask(self, request: _Request, key: str) -> ModelResponse:
        """Asks the model until it answers, as often and as late as the provider wants, and records the response."""
        meter = ModelMeter(self._run.clock, request.model)
        for attempt in count(1):
            await self.emitter.supersede(ATTEMPT_LOST)
            translator = ResponseTranslator(self._new_message_id(), self.emitter.fold.unused)
            meter.sent()
            try:
                response = await self._stream(request, translator)
            except Exception as error:
                self.emitter.check()
                meter.failed(error)
                wait = retry_wait(error, attempt, self._policy)
                if wait is None:
                    await self.emitter.end_open()
                    await self.emitter.record(ERROR_STEP + key, meter.encode(None))
                    raise
                await self.emitter.supersede(MODEL_RETRY)
                await self._policy.sleep(wait)
            else:
                meter.answered()
                await self.emitter.emit(*translator.finish())
                response = translator.renamed(response)
                await self.emitter.record(key, meter.encode(response))
                return response
        raise AssertionError("unreachable")

    def _new_message_id(self) -> str:
        self._requests += 1
        return self.emitter.fold.unused(f"{self._run.run_id}-{self._run.attempt}-{self._requests}")

    async def _stream(self, request: _Request, translator: ResponseTranslator) -> ModelResponse:
        model = request.model
        with self._run.tracing.model_call(provider=model.system, model=model.model_name) as span:
            if _can_stream(model):
                async with model.request_stream(
                    request.messages, request.settings, request.parameters, request.context
                ) as stream:
                    async for event in stream:
                        if events := translator.translate(event):
                            await self.emitter.emit(*events)
                    response = stream.get()
            else:
                response = await model.request(request.messages, request.settings, request.parameters)
                for event in response_events(response):
                    await self.emitter.emit(*translator.translate(event))
            span.answered(
                model=response.model_name,
                response_id=response.provider_response_id,
                finish_reasons=[response.finish_reason] if response.finish_reason else (),
                input_tokens=response.usage.input_tokens,
                output_tokens=response.usage.output_tokens,
            )
        return response

    # --- tool calls --------------------------------------------------------------------------------------------------

    def idempotency_key(self, call_id: str) -> str:
        """The idempotency key of a tool call."""
        return self._run.idempotency_key(f"tool:{call_id}")

    async def wrap_tool_execute(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: ValidatedToolArgs,
        handler: WrapToolExecuteHandler,
    ) -> Any:
        """The recorded outcome of the call, or its outcome now, recorded as soon as it is there."""
        self.emitter.check()
        key = f"tool:{call.tool_call_id}"
        deferral = f"deferred:{'approved:' if ctx.tool_call_approved else ''}{key}"
        log = self._run.run_log
        recorded = log.step(key) or log.step(ERROR_STEP + key) or log.step(deferral)
        record_durable_unit(executed=recorded is None)
        if recorded is not None:
            return tool_steps.replay(recorded)
        self._run.progress_made.live = True
        try:
            with self._run.tracing.tool_call(name=call.tool_name, call_id=call.tool_call_id):
                result = await handler(args)
        except SkipToolExecution:
            raise
        except (CallDeferred, ApprovalRequired) as deferred:
            # The tool may have started work outside: it must not run again when the answer is there.
            await self.emitter.record(deferral, tool_steps.encode_deferral(deferred))
            raise
        except (ToolRetryError, ToolFailedError, ModelRetry, ToolFailed) as signal:
            await self._record_signal(key, call, signal)
            raise
        except ValidationError as error:
            retry = ModelRetry(str(error))
            await self._record_signal(key, call, retry)
            raise retry from error
        except Exception as error:
            self.emitter.check()
            await self._record_error(key, call, error)
            raise
        await self._record_result(key, call, result)
        return result

    async def _record_result(self, key: str, call: ToolCallPart, result: object) -> None:
        name, call_id = call.tool_name, call.tool_call_id
        step = tool_steps.encode_return(name, call_id, result)
        attached = [client_event(event) for event in tool_steps.attached_events(result)]
        result_events = self._result_events(tool_steps.return_part(name, call_id, result))
        await self.emitter.emit(*result_events, *attached)
        await self.emitter.record(key, step)

    async def _record_signal(self, key: str, call: ToolCallPart, signal: tool_steps.ToolSignal) -> None:
        part = tool_steps.signal_part(call.tool_name, call.tool_call_id, signal)
        await self.emitter.emit(*self._result_events(part))
        await self.emitter.record(key, tool_steps.encode_signal(call.tool_name, call.tool_call_id, signal))

    async def _record_error(self, key: str, call: ToolCallPart, error: Exception) -> None:
        part = ToolReturnPart(call.tool_name, str(error), call.tool_call_id, outcome="failed")
        await self.emitter.emit(*self._result_events(part))
        await self.emitter.record(ERROR_STEP + key, tool_steps.encode_error(error))

    def _result_events(self, part: ToolReturnPart) -> list[BaseEvent]:
        """The result, and before it the end of one that an attempt emitted but did not record.

        A call that the client has not seen (made by a tool, say) has no result for it either.
        """
        call = self.emitter.fold.call(part.tool_call_id)
        if call is None and part.tool_call_id not in self._earlier_calls:
            return []
        parent = part.tool_call_id if call is None else call.parent
        old = [] if call is None or call.result is None else [superseded(call.result, ATTEMPT_LOST)]
        name = self.emitter.fold.unused(result_message_id(parent, part.tool_call_id))
        return [*old, tool_result(name, part)]

    # --- the library's event stream ----------------------------------------------------------------------------------

    async def forward(self, event: AgentStreamEvent) -> None:
        """Emits what the library's own stream of tool events has for the client.

        That is the result of a call that was not executed (invalid, denied, skipped), and the application's own events.
        The latter are not repeated while recorded steps are replayed.
        """
        match event:
            case FunctionToolResultEvent(part=part) | OutputToolResultEvent(part=part):
                call = self.emitter.fold.call(part.tool_call_id)
                if call is not None and call.result is None:
                    await self.emitter.emit(*self._result_events(part))
            case CustomEvent() if self._run.progress_made.live and event.ui:
                await self.emitter.emit(custom_event(event.name, event.to_payload()))
            case _:
                pass


class _DurableModel(WrapperModel):
    """Answers from the log, or asks the wrapped model through `Durability`."""

    def __init__(self, wrapped: Model, durability: Durability) -> None:
        super().__init__(wrapped)
        self._durability = durability

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        return await self._durability.respond(
            _Request(self.wrapped, messages, model_settings, model_request_parameters)
        )

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """For agents with a hook on the event stream: it sees the response once it is whole."""
        response = await self._durability.respond(
            _Request(self.wrapped, messages, model_settings, model_request_parameters, run_context)
        )
        yield CompletedStreamedResponse(response, model_request_parameters=model_request_parameters, replay_events=True)


def _can_stream(model: Model) -> bool:
    while isinstance(model, WrapperModel):
        model = model.wrapped
    if isinstance(model, FunctionModel):
        return model.stream_function is not None
    return type(model).request_stream is not Model.request_stream
