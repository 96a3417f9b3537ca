"""What an App holds: one definition for each thing that can be run. Importing this module imports no model library."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast

from perdure.domain.run import Kind

if TYPE_CHECKING:
    from ag_ui.core import BaseEvent
    from pydantic_ai.agent import AbstractAgent

    from perdure.execution.log import RunContext

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}")
_URL: Final = re.compile(r"https?://[^/]")
_PYDANTIC_AI_BASE: Final = ("pydantic_ai.agent.abstract", "AbstractAgent")

FunctionAgent = Callable[["RunContext"], "AsyncIterator[BaseEvent | Mapping[str, object]]"]
"""An agent as a function: it yields AG-UI events, as objects of `ag_ui.core` or as JSON objects."""

Deps = Callable[["RunContext"], "Awaitable[object] | object"]
"""Makes the dependencies that a Pydantic AI agent's tools get in one attempt."""

Function = Callable[..., Any]
"""What is run: its first parameter is the context, the others are the input (`execution/inputs.py`)."""


@dataclass(frozen=True, slots=True)
class RemoteAgent:
    """An AG-UI endpoint. `headers` are sent with each request; `idle_seconds` is how long it may say nothing."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    idle_seconds: float = 120.0


@dataclass(frozen=True, slots=True)
class AgentDefinition:
    """A registered agent: a Pydantic AI agent with what makes its dependencies, a function, or an AG-UI endpoint."""

    name: str
    target: AbstractAgent[Any, Any] | FunctionAgent | RemoteAgent
    kind: Literal["pydantic_ai", "function", "ag_ui"]
    description: str | None = None
    deps: Deps | None = None
    concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class WorkflowDefinition:
    """A registered workflow: a coroutine function `(ctx, …)` whose steps are recorded."""

    name: str
    function: Function
    description: str | None = None
    concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class TaskDefinition:
    """A registered task: a function `(ctx, …)` or a command line, one of the two.

    `timeout_seconds` and `backoff_limit` hold where the run's request says nothing. `memory_mb` and `cpu_seconds` limit
    the process. What it writes into its output folder becomes artifacts, under the path `output_folder` if it is given.
    Of the worker's environment it sees what every program needs and the variables that `inherit` names; `env` is set
    beside that.
    """

    name: str
    function: Function | None = None
    command: tuple[str, ...] = ()
    description: str | None = None
    timeout_seconds: float | None = None
    backoff_limit: int = 0
    memory_mb: int | None = None
    cpu_seconds: int | None = None
    output_folder: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    inherit: tuple[str, ...] = ()
    concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class EvalDefinition:
    """A registered eval: a Pydantic Evals dataset (or what makes it), and the function whose answers it judges.

    The function takes a case's inputs or, where `takes_context`, its context and then the inputs.
    """

    name: str
    function: Function
    dataset: object
    takes_context: bool = False
    description: str | None = None
    concurrency: int | None = None


Definition = AgentDefinition | WorkflowDefinition | TaskDefinition | EvalDefinition
D = TypeVar("D", bound=Definition)


def limited(definition: D, concurrency: int | None) -> D:
    """The definition with a limit of its runs at once, in all projects together. Raises ValueError for less than 1."""
    if concurrency is not None and concurrency < 1:
        raise ValueError(f"The concurrency of {definition.name!r} must be at least 1.")
    return replace(definition, concurrency=concurrency)


def kind_of(definition: Definition) -> Kind:
    """The kind of run that executes it."""
    match definition:
        case AgentDefinition():
            return Kind.AGENT
        case WorkflowDefinition():
            return Kind.WORKFLOW
        case TaskDefinition():
            return Kind.TASK
        case EvalDefinition():
            return Kind.EVAL


def agent_definition(
    name: str,
    agent: AbstractAgent[Any, Any] | FunctionAgent,
    description: str | None,
    deps: Deps | None,
) -> AgentDefinition:
    """Raises ValueError for a bad name and TypeError for what is no agent."""
    _check_name(name, "an agent")
    if inspect.isasyncgenfunction(agent):
        if deps is not None:
            raise TypeError(f"Agent {name!r} is a function: it makes what it needs itself, so it takes no `deps`.")
        return AgentDefinition(name, cast("FunctionAgent", agent), "function", description or inspect.getdoc(agent))
    if any((base.__module__, base.__qualname__) == _PYDANTIC_AI_BASE for base in type(agent).__mro__):
        return AgentDefinition(name, agent, "pydantic_ai", description, deps)
    raise TypeError(
        f"Agent {name!r} must be a Pydantic AI agent or an async generator function "
        f"(`async def … yield event`), not {_described(agent)}."
    )


def remote_definition(
    name: str, url: str, headers: Mapping[str, str] | None, idle_seconds: float | None, description: str | None
) -> AgentDefinition:
    """Raises ValueError for a bad name or URL."""
    _check_name(name, "an agent")
    if not _URL.match(url):
        raise ValueError(f"The URL of agent {name!r} must begin with http:// or https://.")
    remote = RemoteAgent(url, MappingProxyType(dict(headers or {})))
    if idle_seconds is not None:
        remote = replace(remote, idle_seconds=idle_seconds)
    return AgentDefinition(name, remote, "ag_ui", description)


def workflow_definition(name: str, function: Function, description: str | None) -> WorkflowDefinition:
    """Raises ValueError for a bad name and TypeError for what is no coroutine function."""
    _check_name(name, "a workflow")
    if not inspect.iscoroutinefunction(function):
        raise TypeError(f"Workflow {name!r} must be a coroutine function (`async def`), not {_described(function)}.")
    _check_context(name, "Workflow", function)
    return WorkflowDefinition(name, function, description or inspect.getdoc(function))


def task_definition(name: str, function: Function | None, command: Sequence[str], **limits: Any) -> TaskDefinition:
    """Raises ValueError for a bad name, and TypeError for neither or both of function and command."""
    _check_name(name, "a task")
    if isinstance(command, str):
        raise TypeError(f"The command of task {name!r} must be a list of its words, not one text.")
    if (function is None) != bool(command):
        raise TypeError(f"Task {name!r} must be a function or a command, one of the two.")
    if function is not None:
        if inspect.isasyncgenfunction(function):
            raise TypeError(f"Task {name!r} must be a function, not {_described(function)}.")
        _check_context(name, "Task", function)
        limits["description"] = limits.get("description") or inspect.getdoc(function)
    return TaskDefinition(name, function, tuple(command), **limits)


def eval_definition(name: str, function: Function, dataset: object, description: str | None) -> EvalDefinition:
    """Raises ValueError for a bad name and TypeError for what cannot be called with a case's inputs."""
    _check_name(name, "an eval")
    if not callable(function):
        raise TypeError(f"Eval {name!r} must judge a function, not {_described(function)}.")
    return EvalDefinition(
        name, function, dataset, _takes_context(name, function), description or inspect.getdoc(function)
    )


def _check_name(name: str, what: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} cannot name {what}: use 1 to 128 letters, digits and . _ : / @ -, a letter or digit first."
        )


def _check_context(name: str, what: str, function: Function) -> None:
    first = next(iter(inspect.signature(function).parameters.values()), None)
    if first is None or first.kind not in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD):
        raise TypeError(f"{what} {name!r} must take its context as its first parameter: `(ctx, …)`.")


def _takes_context(name: str, function: Function) -> bool:
    """Whether an eval's function asks for two values, which are its context and the inputs."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:  # of some builtins nobody knows what they take
        return False
    rest = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [one for one in parameters if one.default is one.empty and one.kind not in rest]
    if not parameters or len(needed) > 2 or any(one.kind is one.KEYWORD_ONLY for one in needed):
        raise TypeError(f"Eval {name!r} must judge a function of a case's inputs, `(inputs)` or `(ctx, inputs)`.")
    return len(needed) == 2


def _described(value: object) -> str:
    if inspect.iscoroutinefunction(value):
        return "a coroutine function: it has no `yield`"
    if inspect.isasyncgenfunction(value):
        return "an async generator function: it has a `yield`"
    return "a function" if inspect.isfunction(value) else f"{type(value).__qualname__} {value!r:.60}"
