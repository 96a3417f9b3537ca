"""Find what executes a run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import assert_never

from perdure.domain.errors import AgentNotFound, TargetNotFound
from perdure.domain.run import Kind
from perdure.domain.stored_run import Run
from perdure.execution.kinds.agent import run_agent
from perdure.execution.kinds.eval import run_eval
from perdure.execution.kinds.task import run_task
from perdure.execution.kinds.workflow import run_workflow
from perdure.execution.log import Outcome, RunContext
from perdure.execution.registry import App
from perdure.execution.task_site import TaskSite


class Resolver:
    """Resolves the runs of one App."""

    def __init__(self, app: App, site: TaskSite | None = None) -> None:
        self._app = app
        self._site = TaskSite() if site is None else site

    def __call__(self, run: Run) -> Callable[[RunContext], Awaitable[Outcome]]:
        """What executes `run`. Raises AgentNotFound, TargetNotFound."""
        name = run.served_name
        match run.kind:
            case Kind.AGENT if name in self._app.agents:
                return partial(run_agent, self._app.agents[name])
            case Kind.WORKFLOW if name in self._app.workflows:
                return partial(run_workflow, self._app.workflows[name])
            case Kind.TASK if name in self._app.tasks:
                return partial(run_task, self._app.tasks[name], site=self._site)
            case Kind.EVAL if name in self._app.evals:
                return partial(run_eval, self._app.evals[name])
            case Kind.AGENT:
                raise AgentNotFound(f"This worker serves no agent {name!r}.")
            case Kind.WORKFLOW | Kind.TASK | Kind.EVAL:
                raise TargetNotFound(f"This worker serves no {run.kind} {name!r}.")
            case _:
                assert_never(run.kind)
