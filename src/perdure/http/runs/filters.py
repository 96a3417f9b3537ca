"""Which runs a list shows, and the counts of them over time."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, TypeVar

from starlette.requests import Request

from perdure.domain.errors import InvalidRequest
from perdure.domain.run import Kind, Status, WaitingReason
from perdure.domain.stored_run import RunFilter, Viewer
from perdure.http.json_schema import array, choice, text
from perdure.http.operations import query
from perdure.http.requests import text_query, words_query

W = TypeVar("W", bound=StrEnum)


def filter_of(request: Request, viewer: Viewer) -> RunFilter:
    """What the query asks for, without its times. Raises InvalidRequest."""
    kind = text_query(request, "kind")
    statuses = tuple(word_in(word, "status", Status) for word in words_query(request, "status"))
    reasons = tuple(word_in(word, "waiting_reason", WaitingReason) for word in words_query(request, "waiting_reason"))
    if reasons and (not statuses or Status.WAITING in statuses):
        # No other run waits for anything; those that wait are found at once.
        statuses = (Status.WAITING,)
    return RunFilter(
        viewer=viewer,
        statuses=statuses,
        kind=None if kind is None else word_in(kind, "kind", Kind),
        agent_id=text_query(request, "agent_id"),
        target=text_query(request, "target"),
        tag=text_query(request, "tag"),
        parent_run_id=text_query(request, "parent"),
        waiting_reasons=reasons,
    )


def word_in(word: str, name: str, words: type[W]) -> W:
    """A query parameter's word as one of an enumeration. Raises InvalidRequest."""
    known = [str(one) for one in words]
    if word not in known:
        raise InvalidRequest(f"The query parameter `{name}` must be one of {', '.join(known)}.")
    return words(word)


PARAMETERS: Final = (
    query("kind", choice(*Kind), "Runs of this kind only."),
    query("status", array(choice(*Status)), "Runs in one of these states; repeated, or with commas between."),
    query(
        "waiting_reason",
        array(choice(*WaitingReason)),
        "Runs that wait for one of these; repeated, or with commas between.",
    ),
    query("agent_id", text(1), "Runs of this agent."),
    query("target", text(1), "Runs of this target."),
    query("tag", text(1), "Runs with this tag."),
    query("parent", text(1), "Runs that this run started."),
)
