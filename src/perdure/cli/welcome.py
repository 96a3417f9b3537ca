"""What `perdure dev` says when it is ready."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import Final

import msgspec

from perdure.domain.project import DEFAULT_PROJECT_ID

_RUN: Final = "my-first-run"


def welcome(url: str, made_up_key: str | None, file: Path | None, dashboard: str | None) -> list[str]:
    """Where it is, the key, what to try, how to stop. `made_up_key` None: the user has set one, which is not shown.

    `dashboard`: the link that signs in; None where the dashboard is not built.
    """
    key = made_up_key if made_up_key is not None else "$PERDURE_BOOTSTRAP_API_KEY"
    bearer = f'-H "Authorization: Bearer {key}"'
    body = shlex.quote(msgspec.json.encode(_body()).decode())
    shown = made_up_key if made_up_key is not None else "the one in PERDURE_BOOTSTRAP_API_KEY"
    kept = "" if file is None else f"; also in {file}"
    return [
        "",
        f"  Perdure is ready   {url}   (API: {url}/docs)",
        f"  Dashboard          {dashboard or 'not built: make web'}",
        f"  API key            {shown}   (an administrator's{kept})",
        "",
        "  Start a run and watch it:",
        f"    curl {url}/runs {bearer} -H 'Content-Type: application/json' -d {body}",
        f"    curl -N {url}/runs/{_RUN}/stream {bearer}",
        "",
        "  or, in this folder:",
        f'    {_command()} runs create demo "Plan a weekend in Lisbon" --follow',
        "",
        "  Ctrl-C stops it. The data stays; what runs goes on at the next start.",
        "",
    ]


def _command() -> str:
    """How to call this command: by its name where the shell finds it, by its path otherwise."""
    return "perdure" if shutil.which("perdure") else shlex.quote(sys.argv[0])


def _body() -> dict[str, object]:
    project = str(DEFAULT_PROJECT_ID)
    return {
        "kind": "agent",
        "public_id": _RUN,
        "owner": {"kind": "project", "id": project},
        "request": {
            "mode": "agent",
            "agent_id": "demo",
            "input": {
                "messages": [{"role": "user", "content": "Plan a weekend in Lisbon"}],
                "context": {"project_id": project, "branch_id": None},
            },
        },
    }
