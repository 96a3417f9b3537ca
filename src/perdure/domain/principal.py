"""Who calls: what a request's key or token proves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from perdure.domain.ids import ProjectId, RunId
from perdure.domain.stored_run import Viewer


class Scope(StrEnum):
    """What a principal may do within its project. Each route names the one it needs."""

    RUNS_READ = "runs:read"
    RUNS_WRITE = "runs:write"
    RUNS_PRIVATE = "runs:private"
    EVENTS_APPEND = "agent-runs:events:append"
    ADMIN = "admin"


ORDINARY: Final = frozenset({Scope.RUNS_READ, Scope.RUNS_WRITE, Scope.EVENTS_APPEND})
"""What a key or token holds that names no scopes: everything within its project but administration."""


_PERMISSIONS: Final = MappingProxyType(
    {
        "agent_run:read": frozenset({Scope.RUNS_READ}),
        "workflow:run": ORDINARY,
        "workflow:admin": ORDINARY,
        "workflow:superadmin": ORDINARY | {Scope.RUNS_PRIVATE},
    }
)
"""The permissions of the Agent Runs API, as what they allow here (vertesia.md section 6)."""


def known_scopes(words: Iterable[str]) -> frozenset[Scope]:
    """The scopes that `words` name, which may be ours or the permissions of the Agent Runs API.

    Others are left out: a token may carry those of other services, too.
    """
    wanted = set(words)
    permitted = (_PERMISSIONS[word] for word in wanted if word in _PERMISSIONS)
    return frozenset(scope for scope in Scope if scope.value in wanted).union(*permitted)


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller.

    `project_id` is the project that its requests act in; `run_id` is set for a token that is good for one run only.
    """

    subject: str
    project_id: ProjectId
    scopes: frozenset[Scope] = field(default=ORDINARY)
    run_id: RunId | None = None

    def may(self, scope: Scope) -> bool:
        """Whether it holds `scope`; an administrator holds all."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    @property
    def viewer(self) -> Viewer:
        """Which private runs it sees: its own, or all."""
        return Viewer(self.subject, self.may(Scope.RUNS_PRIVATE))
