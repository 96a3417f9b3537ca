"""The part of a process that executes runs: its agents, workflows, tasks and evals, and the worker that serves them."""

from __future__ import annotations

from perdure.execution.demo import demo_app
from perdure.execution.engines.base import Engine, Working
from perdure.execution.executor import Executor
from perdure.execution.inputs import published
from perdure.execution.kinds.resolve import Resolver
from perdure.execution.loading import load_app
from perdure.execution.registry import App, combine
from perdure.execution.task_site import TaskSite
from perdure.services import catalog
from perdure.services.core import Core
from perdure.settings import Settings, whole_environment
from perdure.telemetry import Tracing


def served_agents(settings: Settings, app_spec: str | None) -> App:
    """The demo agents, and beside them the user's. Raises AppNotLoaded."""
    own = demo_app(settings.demo_model)
    return combine([own, load_app(app_spec)]) if app_spec else own


async def start_work(
    core: Core, engine: Engine, application: App, settings: Settings, app_spec: str | None, tracing: Tracing
) -> Working:
    """Say what is served, and serve it."""
    resolve = Resolver(application, TaskSite(app_spec, whole_environment()))
    executor = Executor(core, resolve, settings.flush_ms / 1000, tracing)
    await catalog.publish(core, published(application))
    return await engine.work(application.serves, executor.execute)
