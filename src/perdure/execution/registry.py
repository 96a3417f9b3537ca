"""What a user writes down: an `App` with what it can run. Importing this module imports no model library."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from perdure.domain.run import Kind
from perdure.execution.definitions import (
    AgentDefinition,
    Definition,
    Deps,
    EvalDefinition,
    Function,
    FunctionAgent,
    TaskDefinition,
    WorkflowDefinition,
    agent_definition,
    eval_definition,
    kind_of,
    limited,
    remote_definition,
    task_definition,
    workflow_definition,
)

if TYPE_CHECKING:
    from pydantic_ai.agent import AbstractAgent

F = TypeVar("F", bound=FunctionAgent)
G = TypeVar("G", bound=Function)


class App:
    """The agents, workflows, tasks and evals that a worker serves. A name is taken once for each kind.

    `version` names the state of their code; it is told with the runs that they execute.
    """

    def __init__(self, *, version: str | None = None) -> None:
        self.version = version
        self._agents: dict[str, AgentDefinition] = {}
        self._workflows: dict[str, WorkflowDefinition] = {}
        self._tasks: dict[str, TaskDefinition] = {}
        self._evals: dict[str, EvalDefinition] = {}

    @property
    def agents(self) -> Mapping[str, AgentDefinition]:
        """The agents by name."""
        return MappingProxyType(self._agents)

    @property
    def workflows(self) -> Mapping[str, WorkflowDefinition]:
        """The workflows by name."""
        return MappingProxyType(self._workflows)

    @property
    def tasks(self) -> Mapping[str, TaskDefinition]:
        """The tasks by name."""
        return MappingProxyType(self._tasks)

    @property
    def evals(self) -> Mapping[str, EvalDefinition]:
        """The evals by name."""
        return MappingProxyType(self._evals)

    @property
    def definitions(self) -> tuple[Definition, ...]:
        """Everything, by kind."""
        return (
            *self._agents.values(),
            *self._workflows.values(),
            *self._tasks.values(),
            *self._evals.values(),
        )

    @property
    def serves(self) -> frozenset[tuple[str, str]]:
        """(kind, name) of everything."""
        return frozenset((kind_of(definition).value, definition.name) for definition in self.definitions)

    @overload
    def agent(
        self, name: str, /, *, description: str | None = None, concurrency: int | None = None
    ) -> Callable[[F], F]: ...

    @overload
    def agent(
        self,
        name: str,
        agent: AbstractAgent[Any, Any] | FunctionAgent,
        /,
        *,
        description: str | None = None,
        deps: Deps | None = None,
        concurrency: int | None = None,
    ) -> None: ...

    @overload
    def agent(
        self,
        name: str,
        /,
        *,
        url: str,
        headers: Mapping[str, str] | None = None,
        idle_seconds: float | None = None,
        description: str | None = None,
        concurrency: int | None = None,
    ) -> None: ...

    def agent(
        self,
        name: str,
        agent: AbstractAgent[Any, Any] | FunctionAgent | None = None,
        /,
        *,
        description: str | None = None,
        deps: Deps | None = None,
        url: str | None = None,
        headers: Mapping[str, str] | None = None,
        idle_seconds: float | None = None,
        concurrency: int | None = None,
    ) -> Callable[[F], F] | None:
        """Registers an agent; without one, the decorator that registers an async generator function.

        `deps` is called for each attempt and makes the dependencies of a Pydantic AI agent. With `url` the agent is an
        AG-UI endpoint (docs/ag-ui.md), which is sent `headers` and may say nothing for `idle_seconds` (120).
        `concurrency`: how many of its runs are executed at once, in all projects (docs/scheduling.md). Raises
        ValueError for a name that is taken or not possible, and TypeError for what is no agent.
        """
        if url is not None:
            if agent is not None:
                raise TypeError(f"Agent {name!r} is reached by its URL: it takes no agent beside that.")
            self._add(limited(remote_definition(name, url, headers, idle_seconds, description), concurrency))
            return None
        if agent is not None:
            self._add(limited(agent_definition(name, agent, description, deps), concurrency))
            return None

        def register(function: F) -> F:
            self._add(limited(agent_definition(name, function, description, deps), concurrency))
            return function

        return register

    @overload
    def workflow(
        self, name: str, /, *, description: str | None = None, concurrency: int | None = None
    ) -> Callable[[G], G]: ...

    @overload
    def workflow(
        self, name: str, function: Function, /, *, description: str | None = None, concurrency: int | None = None
    ) -> None: ...

    def workflow(
        self,
        name: str,
        function: Function | None = None,
        /,
        *,
        description: str | None = None,
        concurrency: int | None = None,
    ) -> Callable[[G], G] | None:
        """Registers a workflow, `async def (ctx, …)`; without one, the decorator that does.

        `concurrency`: how many of its runs are executed at once, in all projects; one that waits does not count.
        Raises ValueError for a name that is taken or not possible, and TypeError for another sort of function.
        """
        if function is not None:
            self._add(limited(workflow_definition(name, function, description), concurrency))
            return None

        def register(decorated: G) -> G:
            self._add(limited(workflow_definition(name, decorated, description), concurrency))
            return decorated

        return register

    def task(
        self,
        name: str,
        function: Function | None = None,
        /,
        *,
        command: Sequence[str] = (),
        description: str | None = None,
        timeout_seconds: float | None = None,
        backoff_limit: int = 0,
        memory_mb: int | None = None,
        cpu_seconds: int | None = None,
        output_folder: str | None = None,
        env: Mapping[str, str] | None = None,
        inherit: Sequence[str] = (),
        concurrency: int | None = None,
    ) -> Callable[[G], G]:
        """Registers a task: a function `(ctx, …)` or a command line. With neither, the answer is the decorator that
        registers a function; otherwise there is no use for it.

        `timeout_seconds` and `backoff_limit` hold where the run's request says nothing. `memory_mb` and `cpu_seconds`
        limit its process. `env` is added to its environment; `inherit` names variables of the worker's for it. What it
        writes into its output folder becomes artifacts, under the path `output_folder` if it is given.
        `concurrency`: how many of its runs are executed at once, in all projects (docs/scheduling.md). Raises
        ValueError for a name that is taken or not possible, and TypeError for what is no task.
        """
        limits = {
            "description": description,
            "timeout_seconds": timeout_seconds,
            "backoff_limit": backoff_limit,
            "memory_mb": memory_mb,
            "cpu_seconds": cpu_seconds,
            "output_folder": output_folder,
            "env": MappingProxyType(dict(env or {})),
            "inherit": tuple(inherit),
        }
        if function is not None or command:
            self._add(limited(task_definition(name, function, command, **limits), concurrency))

        def register(decorated: G) -> G:
            self._add(limited(task_definition(name, decorated, command, **limits), concurrency))
            return decorated

        return register

    @overload
    def eval(
        self, name: str, /, *, dataset: object, description: str | None = None, concurrency: int | None = None
    ) -> Callable[[G], G]: ...

    @overload
    def eval(
        self,
        name: str,
        function: Function,
        /,
        *,
        dataset: object,
        description: str | None = None,
        concurrency: int | None = None,
    ) -> None: ...

    def eval(
        self,
        name: str,
        function: Function | None = None,
        /,
        *,
        dataset: object,
        description: str | None = None,
        concurrency: int | None = None,
    ) -> Callable[[G], G] | None:
        """Registers an eval: a Pydantic Evals `dataset` and the function that answers its cases; without a function,
        the decorator that registers one.

        `concurrency`: how many of its runs are executed at once, in all projects (docs/scheduling.md).
        Raises ValueError for a name that is taken or not possible, and TypeError for what cannot be called.
        """
        if function is not None:
            self._add(limited(eval_definition(name, function, dataset, description), concurrency))
            return None

        def register(decorated: G) -> G:
            self._add(limited(eval_definition(name, decorated, dataset, description), concurrency))
            return decorated

        return register

    def merge(self, *others: App) -> App:
        """A new App with what this one and `others` have. Raises ValueError when two of a kind have the same name."""
        merged = App(version=self.version)
        for app in (self, *others):
            for definition in app.definitions:
                merged._add(definition)
        return merged

    def _add(self, definition: Definition) -> None:
        match definition:
            case AgentDefinition():
                _put(self._agents, definition.name, definition, Kind.AGENT)
            case WorkflowDefinition():
                _put(self._workflows, definition.name, definition, Kind.WORKFLOW)
            case TaskDefinition():
                _put(self._tasks, definition.name, definition, Kind.TASK)
            case EvalDefinition():
                _put(self._evals, definition.name, definition, Kind.EVAL)


def combine(apps: Iterable[App]) -> App:
    """One App with what all have, and the last version that one of them has. Raises ValueError like `App.merge`."""
    found = list(apps)
    versions = [app.version for app in found if app.version is not None]
    return App(version=versions[-1] if versions else None).merge(*found)


D = TypeVar("D")


def _put(known: dict[str, D], name: str, definition: D, kind: Kind) -> None:
    if name in known:
        raise ValueError(f"There are two {kind}s named {name!r}: give one of them another name.")
    known[name] = definition
