"""A real model by its name, so that what goes wrong with it is seen here, and tried again by us alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic_ai import RunContext
from pydantic_ai.exceptions import FallbackExceptionGroup, ModelConnectionError, ModelHTTPError, UserError
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse, infer_model
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel, OpenAIStreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings

from perdure.execution.app_not_loaded import AppNotLoaded

_OPENAI: Final = "api.openai.com"
_NOT_SERVED: Final = frozenset({404, 405, 501})


def real_model(name: str) -> Model:
    """The model that `name` means to Pydantic AI; keys and addresses come from its provider's variables.

    `openai:` means the Responses API. A server other than OpenAI's (`OPENAI_BASE_URL`) that does not have it is asked
    for chat completions instead. Raises AppNotLoaded when there is no such model, or something is missing for it.
    """
    try:
        model = infer_model(name)
    except (UserError, ImportError, ValueError) as error:
        raise AppNotLoaded(f"The demo agent cannot use the model {name!r}: {error}") from None
    # Models that only derive from these say in ways of their own how an answer ended.
    if type(model) not in (OpenAIResponsesModel, OpenAIChatModel):
        return model
    return WholeAnswers(_compatible(model) if name.startswith("openai:") else model)


def _compatible(model: Model) -> Model:
    provider = model.provider
    if not isinstance(provider, OpenAIProvider) or urlsplit(provider.base_url).hostname == _OPENAI:
        return model
    return EitherApi(model, OpenAIChatModel(model.model_name, provider=provider))


def _is_not_served(error: Exception) -> bool:
    return isinstance(error, ModelHTTPError) and error.status_code in _NOT_SERVED


class EitherApi(FallbackModel):
    """The Responses API or, of a server that does not have it, chat completions: found out by the first answer."""

    def __init__(self, responses: Model, chat: Model) -> None:
        super().__init__(responses, chat, fallback_on=_is_not_served)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Streams from the API that the server has. Raises what chat completions raise when it has neither."""
        try:
            async with super().request_stream(
                messages, model_settings, model_request_parameters, run_context
            ) as stream:
                if isinstance(stream, OpenAIStreamedResponse):
                    self.models = self.models[-1:]
                yield stream
        except FallbackExceptionGroup as neither:
            raise neither.exceptions[-1] from None


class WholeAnswers(WrapperModel):
    """Takes a stream that ends without a finish reason for what it is: a connection that broke.

    Over HTTP/1.0, and through some proxies, a broken connection looks like the end of the answer.
    """

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Raises ModelConnectionError at the end of a stream that was cut off."""
        async with self.wrapped.request_stream(
            messages, model_settings, model_request_parameters, run_context
        ) as stream:
            yield stream
            response = stream.get()
        # What the library itself puts in for a missing reason is not among the provider's details.
        given = (response.provider_details or {}).get("finish_reason")
        if given is None and response.finish_reason in (None, "stop"):
            raise ModelConnectionError(self.model_name, "The stream ended before the answer did.", in_stream=True)
