"""What workers publish: the input of workflows and tasks as their functions' signatures say, and the config of evals.

The first parameter is the context. A single further one that is a model, a dataclass, a mapping or not annotated gets
the whole input object; otherwise each parameter is a member of it.
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final

import msgspec
from pydantic import BaseModel, ConfigDict, PydanticUserError, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError

from perdure.domain.catalog import Published
from perdure.execution.definitions import (
    AgentDefinition,
    Definition,
    EvalDefinition,
    Function,
    TaskDefinition,
    WorkflowDefinition,
    kind_of,
)
from perdure.execution.eval_config import config_schema
from perdure.execution.log import RunFailed
from perdure.execution.registry import App

INVALID_INPUT: Final = "invalid_input"
"""Code of a run whose input does not fit the function that it is for."""


@dataclass(frozen=True, slots=True)
class InputShape:
    """`whole`: the one parameter that gets everything, and `adapter` what reads it; `members`: the model of several.

    A function that has neither takes no input; one whose `whole` has no adapter takes any object.
    """

    whole: str | None = None
    adapter: TypeAdapter[Any] | None = None
    members: type[BaseModel] | None = None

    def schema(self) -> dict[str, Any] | None:
        """The JSON Schema of the input; None where any object fits."""
        if self.members is not None:
            return self.members.model_json_schema()
        return None if self.adapter is None else self.adapter.json_schema()

    def arguments(self, given: Mapping[str, object]) -> dict[str, Any]:
        """The function's keyword arguments. Raises RunFailed for an input that does not fit."""
        try:
            if self.whole is not None:
                value = given if self.adapter is None else self.adapter.validate_json(msgspec.json.encode(given))
                return {self.whole: value}
            if self.members is None:
                return {}
            read = self.members.model_validate_json(msgspec.json.encode(given))
            return {name: getattr(read, name) for name in self.members.model_fields}
        except ValidationError as error:
            raise RunFailed(f"The input does not fit: {error}", INVALID_INPUT) from error


def input_shape(function: Function) -> InputShape:
    """What a function takes beside its context. Raises TypeError for a signature that no JSON input can fill."""
    _, *parameters = inspect.signature(function).parameters.values()
    for parameter in parameters:
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"{function.__qualname__} must name the members of its input: no `{parameter}`.")
    hints = {parameter.name: _hint(function, parameter) for parameter in parameters}
    try:
        if len(parameters) == 1 and _is_whole(hints[parameters[0].name]):
            hint = hints[parameters[0].name]
            return InputShape(parameters[0].name, None if hint is Any else TypeAdapter(hint))
        return InputShape(members=_model(function, parameters, hints)) if parameters else InputShape()
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        raise TypeError(f"The parameters of {function.__qualname__} cannot be read from JSON: {error}") from error


def published(app: App) -> tuple[Published, ...]:
    """What a worker of the App says of all that it serves. Raises TypeError for a signature that no input can fill."""
    return tuple(
        Published(kind_of(one), one.name, one.description, app.version, _schema_of(one), one.concurrency)
        for one in app.definitions
    )


def _schema_of(definition: Definition) -> str | None:
    schema = _input_schema(definition)
    return None if schema is None else msgspec.json.encode(schema).decode()


def _input_schema(definition: Definition) -> dict[str, Any] | None:
    match definition:
        case AgentDefinition():
            return None
        case EvalDefinition():
            return config_schema(definition.dataset)
        case WorkflowDefinition() | TaskDefinition():
            return None if definition.function is None else input_shape(definition.function).schema()


def _model(function: Function, parameters: list[inspect.Parameter], hints: Mapping[str, Any]) -> type[BaseModel]:
    fields: dict[str, Any] = {
        parameter.name: (hints[parameter.name], ... if parameter.default is parameter.empty else parameter.default)
        for parameter in parameters
    }
    return create_model(function.__name__, __config__=ConfigDict(extra="forbid"), **fields)


def _hint(function: Function, parameter: inspect.Parameter) -> Any:
    if parameter.annotation is parameter.empty:
        return Any
    holder = SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    try:
        scope = vars(inspect.getmodule(function)) if inspect.getmodule(function) else {}
        known = {**getattr(function, "__globals__", scope), **inspect.getclosurevars(function).nonlocals}
        return typing.get_type_hints(holder, globalns=known, include_extras=True)[parameter.name]
    except NameError as error:
        raise TypeError(
            f"The type of {parameter.name!r} of {function.__qualname__} is not known where it is defined: {error}"
        ) from error


def _is_whole(hint: Any) -> bool:
    if hint is Any:
        return True
    plain = typing.get_origin(hint) or hint
    return (
        typing.is_typeddict(plain)
        or dataclasses.is_dataclass(plain)
        or (isinstance(plain, type) and issubclass(plain, (BaseModel, Mapping)))
    )
