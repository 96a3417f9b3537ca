"""What is recorded of a model request: its response, and beside it how long it took and which tries had failed."""

from __future__ import annotations

import msgspec
from pydantic_ai.messages import ModelMessagesTypeAdapter, ModelResponse
from pydantic_ai.models import Model

from perdure.domain.call import clipped
from perdure.domain.ids import Clock
from perdure.domain.run_calls import Meter, Try


class ModelMeter:
    """Measures the tries of one request."""

    def __init__(self, clock: Clock, model: Model) -> None:
        self._clock = clock
        self._sent = clock()
        self._meter = Meter(model=model.model_name, provider=model.system)

    def sent(self) -> None:
        """A try begins."""
        self._sent = self._clock()

    def failed(self, error: Exception) -> None:
        """It failed."""
        tried = Try(at=self._sent, ms=self._passed(), error=type(error).__name__, message=clipped(str(error)))
        self._meter.failed.append(tried)

    def answered(self) -> None:
        """It succeeded."""
        self._meter.at, self._meter.ms = self._sent, self._passed()

    def encode(self, response: ModelResponse | None) -> bytes:
        """The step: a list of the response (None: the model did not answer) and the measurements, as JSON."""
        [first] = [msgspec.Raw(b"null")] if response is None else _raw(response)
        return msgspec.json.encode([first, self._meter])

    def _passed(self) -> int:
        return max(0, self._clock() - self._sent)


def load_response(recorded: bytes) -> ModelResponse:
    """The response of a recorded step; steps of earlier versions hold nothing beside it."""
    first, *_ = msgspec.json.decode(recorded, type=list[msgspec.Raw])
    [message] = ModelMessagesTypeAdapter.validate_json(b"[" + bytes(first) + b"]")
    assert isinstance(message, ModelResponse)
    return message


def _raw(response: ModelResponse) -> list[msgspec.Raw]:
    return msgspec.json.decode(ModelMessagesTypeAdapter.dump_json([response]), type=list[msgspec.Raw])
