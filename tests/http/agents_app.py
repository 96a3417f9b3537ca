"""Callers of the Agent Runs dialect: principals with each of its permissions, and checked errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
from jsonschema_rs import Draft202012Validator

from perdure.http.agents.schemas import agent_run_schema, agent_runs_schema, error_schema
from tests.http.runs_app import Api

AGENTS = "/api/v1/agents"
RUN = Draft202012Validator(agent_run_schema(), validate_formats=True)
RUNS = Draft202012Validator(agent_runs_schema(), validate_formats=True)
ERROR = Draft202012Validator(error_schema())


@dataclass(frozen=True)
class Caller:
    """Somebody with a key of its own."""

    api: Api
    key: str

    @property
    def subject(self) -> str:
        """As whom its runs are started, in the dialect's words."""
        return f"apikey:{self.key.split('_')[1]}"

    async def ask(self, method: str, path: str = "", body: object = None, **more: Any) -> httpx.Response:
        """A request under the dialect's path."""
        if body is not None:
            more["json"] = body
        headers = {"Authorization": f"Bearer {self.key}", **more.pop("headers", {})}
        where = path if path.startswith(("/api/", "/runs", "/conversations")) else f"{AGENTS}{path}"
        return await self.api.client.request(method, where, headers=headers, **more)

    async def json(self, method: str, path: str = "", body: object = None, **more: Any) -> Any:
        """The JSON of a successful answer."""
        answer = await self.ask(method, path, body, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refused(self, method: str, path: str, status: int, body: object = None, **more: Any) -> dict[str, Any]:
        """The error of an answer that must have this status."""
        return error_in(await self.ask(method, path, body, **more), status)

    async def start(self, **body: object) -> dict[str, Any]:
        """A new run of `echo`."""
        run: dict[str, Any] = await self.json("POST", "", {"interaction": "echo", **body})
        RUN.validate(run)
        return run


def error_in(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The dialect's error, whose form is checked."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    error: dict[str, Any] = answer.json()
    ERROR.validate(error)
    assert error["status"] == status
    return error


async def caller(api: Api, *scopes: str) -> Caller:
    """A principal with a new key; without scopes the ordinary ones."""
    return Caller(api, await api.new_key(**({"scopes": list(scopes)} if scopes else {})))
