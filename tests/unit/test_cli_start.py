"""The command line starts quickly: what only servers need is loaded by those commands only."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import perdure.cli

SERVER_ONLY = (
    "alembic",
    "asyncpg",
    "fastapi",
    "opentelemetry",
    "pydantic_ai",
    "pydantic_settings",
    "sqlalchemy",
    "uvicorn",
)

ASKED_FOR = ("alembic", "openai", "opentelemetry.sdk", "sqlalchemy", "temporalio")
"""What a process needs where its settings, its database or its agents ask for it."""


def loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sorted(set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.splitlines()[-1].split())


def test_help_loads_no_server_and_no_http() -> None:
    loaded = loaded_by("from perdure.cli.main import app\nassert app(['runs', '--help'], standalone_mode=False) == 0")
    assert loaded.isdisjoint((*SERVER_ONLY, "httpx"))


def test_what_asks_a_server_loads_none() -> None:
    modules = ("remote", "run_starting", "run_reading", "run_steering", "administration")
    code = "\n".join(f"import perdure.cli.main, perdure.cli.{module}" for module in modules)
    loaded = loaded_by(code)
    assert "httpx" in loaded
    assert loaded.isdisjoint(SERVER_ONLY)


def test_what_is_loaded_late_is_there() -> None:
    """The type checker knows these modules by an import; at run time they are found by their name."""
    sources = Path(perdure.cli.__file__).parent.glob("*.py")
    names = {name for source in sources for name in re.findall(r'Lazy\("([\w.]+)"\)', source.read_text())}
    assert "perdure.cli.process_start" in names
    assert [name for name in sorted(names) if find_spec(name) is None] == []


def test_a_server_that_executes_nothing_loads_no_agents() -> None:
    loaded = loaded_by("import perdure.cli.process_start, perdure.serving")
    assert loaded.isdisjoint({*ASKED_FOR, "pydantic_ai"})


def test_a_worker_loads_no_web_server_and_no_provider_of_models() -> None:
    loaded = loaded_by("import perdure.cli.process_start, perdure.working")
    assert "pydantic_ai" in loaded
    assert loaded.isdisjoint(
        {"alembic", "fastapi", "openai", "opentelemetry.sdk", "sqlalchemy", "temporalio", "uvicorn"}
    )


def test_the_code_of_workflows_and_tasks_loads_no_pydantic_ai() -> None:
    """A task's process imports the file of its App for each attempt."""
    loaded = loaded_by("import perdure, perdure.agents, perdure.execution.task_function")
    assert loaded.isdisjoint({*ASKED_FOR, "fastapi", "pydantic_ai", "uvicorn"})
