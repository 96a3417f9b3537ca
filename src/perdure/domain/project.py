"""Projects: who owns a run, and by what names one refers to a project."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from perdure.domain.errors import InvalidRequest
from perdure.domain.ids import ProjectId

DEFAULT_PROJECT_ID: Final = ProjectId(UUID("00000000-0000-4000-8000-000000000001"))
"""The project that exists from the first start on. The same in every installation, so that scripts may name it."""

DEFAULT_SLUG: Final = "default"

MAX_SLUG: Final = 63
SLUG_PATTERN: Final = r"^[a-z0-9](-?[a-z0-9])*$"
MAX_NAME: Final = 200
MOST_RUNNING: Final = 1_000_000

_SLUG: Final = re.compile(SLUG_PATTERN.removesuffix("$") + r"\Z")
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Project:
    """A project. Everything that is stored belongs to one. `max_running`: how many of its runs may be executed at once;
    None: any number."""

    id: ProjectId
    slug: str
    name: str
    created_at: datetime
    max_running: int | None = None


def reference(text: str) -> ProjectId | str | None:
    """What a caller's `{ref}` means: an id, a slug, or None for what can be neither."""
    if (found := parse_uuid(text)) is not None:
        return ProjectId(found)
    return text if _is_slug(text) else None


def parse_uuid(text: str) -> UUID | None:
    """The UUID that `text` is in the usual form with hyphens; None for anything else."""
    return UUID(text) if _UUID.fullmatch(text) else None


def check_slug(slug: str) -> str:
    """The slug, if it may be one. A UUID may not: it would be taken for a project's id. Raises InvalidRequest."""
    if not _is_slug(slug) or parse_uuid(slug) is not None:
        raise InvalidRequest(
            f"`/slug` must be 1 to {MAX_SLUG} lower-case letters and digits, with single hyphens between them, and no"
            " UUID.",
            pointer="/slug",
        )
    return slug


def check_name(name: str) -> str:
    """A name that a person gives to something, trimmed. Raises InvalidRequest."""
    trimmed = name.strip()
    if not 1 <= len(trimmed) <= MAX_NAME or _CONTROL.search(trimmed):
        raise InvalidRequest(f"`/name` must be 1 to {MAX_NAME} characters without control characters.", pointer="/name")
    return trimmed


def _is_slug(text: str) -> bool:
    return len(text) <= MAX_SLUG and _SLUG.match(text) is not None
