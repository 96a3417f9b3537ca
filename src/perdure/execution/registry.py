"""What a user writes down: an `App` with its agents. Importing this module imports no model library."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast, overload

if TYPE_CHECKING:
    from ag_ui.core import BaseEvent
    from pydantic_ai.agent import AbstractAgent

    from perdure.execution.log import RunContext

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")
_PYDANTIC_AI_BASE: Final = ("pydantic_ai.agent.abstract", "AbstractAgent")

FunctionAgent = Callable[["RunContext"], "AsyncIterator[BaseEvent | Mapping[str, object]]"]
"""An agent as a function: it yields AG-UI events, as objects of `ag_ui.core` or as JSON objects."""

F = TypeVar("F", bound=FunctionAgent)

Deps = Callable[["RunContext"], "Awaitable[object] | object"]
"""Makes the dependencies that a Pydantic AI agent's tools get in one attempt."""


@dataclass(frozen=True, slots=True)
class AgentDefinition:
    """A registered agent: either a Pydantic AI agent with what makes its dependencies, or a function."""

    name: str
    target: AbstractAgent[Any, Any] | FunctionAgent
    kind: Literal["pydantic_ai", "function"]
    description: str | None = None
    deps: Deps | None = None


class App:
    """The agents that a worker serves.

    `version` names the state of their code; it is told with the runs that they execute.
    """

    def __init__(self, *, version: str | None = None) -> None:
        self.version = version
        self._agents: dict[str, AgentDefinition] = {}

    @property
    def agents(self) -> Mapping[str, AgentDefinition]:
        """The agents by name."""
        return MappingProxyType(self._agents)

    @overload
    def agent(self, name: str, /, *, description: str | None = None) -> Callable[[F], F]: ...

    @overload
    def agent(
        self,
        name: str,
        agent: AbstractAgent[Any, Any] | FunctionAgent,
        /,
        *,
        description: str | None = None,
        deps: Deps | None = None,
    ) -> None: ...

    def agent(
        self,
        name: str,
        agent: AbstractAgent[Any, Any] | FunctionAgent | None = None,
        /,
        *,
        description: str | None = None,
        deps: Deps | None = None,
    ) -> Callable[[F], F] | None:
        """Registers an agent; without one, the decorator that registers an async generator function.

        `deps` is called for each attempt and makes the dependencies of a Pydantic AI agent. Raises ValueError for a
        name that is taken or not possible, and TypeError for what is no agent.
        """
        if agent is not None:
            self._add(_definition(name, agent, description, deps))
            return None

        def register(function: F) -> F:
            self._add(_definition(name, function, description, deps))
            return function

        return register

    def merge(self, *others: App) -> App:
        """A new App with the agents of this one and of `others`. Raises ValueError when two have the same name."""
        merged = App(version=self.version)
        for app in (self, *others):
            for definition in app.agents.values():
                merged._add(definition)
        return merged

    def _add(self, definition: AgentDefinition) -> None:
        if definition.name in self._agents:
            raise ValueError(f"There are two agents named {definition.name!r}: give one of them another name.")
        self._agents[definition.name] = definition


def combine(apps: Iterable[App]) -> App:
    """One App with the agents of all, and the last version that one of them has. Raises ValueError like `App.merge`."""
    found = list(apps)
    versions = [app.version for app in found if app.version is not None]
    return App(version=versions[-1] if versions else None).merge(*found)


def _definition(
    name: str,
    agent: AbstractAgent[Any, Any] | FunctionAgent,
    description: str | None,
    deps: Deps | None,
) -> AgentDefinition:
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} cannot name an agent: use 1 to 128 letters, digits and . _ : / -, a letter or digit first."
        )
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


def _described(value: object) -> str:
    if inspect.iscoroutinefunction(value):
        return "a coroutine function: it has no `yield`"
    return "a function" if inspect.isfunction(value) else f"{type(value).__qualname__} {value!r:.60}"
