"""Agents that are reached by a URL, as they are stored: AG-UI endpoints that any worker serves (docs/ag-ui.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from perdure.domain.errors import InvalidRequest, NotFound
from perdure.domain.ids import ProjectId

ROUTE: Final = "agent:@url"
"""The queue of their runs, which every worker takes. No agent has such a name."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_VALUE: Final = re.compile(r"[\x20-\x7e]{0,4096}")


class RemoteAgentNotFound(NotFound):
    """There is no such agent."""


@dataclass(frozen=True, slots=True)
class StoredAgent:
    """One agent of a project. The values of `headers` are secrets: they are sent to the agent and shown to nobody."""

    project_id: ProjectId
    name: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    description: str | None
    created_by: str | None
    created_at: datetime
    updated_at: datetime


def check_agent(name: str, headers: Mapping[str, str]) -> None:
    """Raises InvalidRequest for a name or header that cannot be."""
    if not _NAME.fullmatch(name):
        raise InvalidRequest("An agent's name has 1 to 128 letters, digits and . _ : -, a letter or digit first.")
    for header, value in headers.items():
        if not _HEADER.fullmatch(header) or not _VALUE.fullmatch(value):
            detail = "A header has a name of HTTP's and a value of at most 4,096 printable ASCII characters."
            raise InvalidRequest(detail, pointer="/headers")
