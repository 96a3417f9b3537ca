"""CUSTOM events that say something in a message: files, sources and data (veryfront.md 2.4).

The client's own reader decides: a value whose `type` is `file`, `source-url` or `source-document` is that; anything
else is data, under its event's name. Its writer leaves the `data-` of such a name away: both spellings mean the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from perdure.domain.part import Part

STATES: Final = frozenset({"tool-call-status", "message-metadata"})
"""Names whose events say how something is now: the newest one counts, for each tool call its own."""

_SILENT: Final = ("perdure.", "veryfront.", "conversation-run-event-omitted")
"""What begins like this tells of the run, not of the message."""

_SOURCES: Final = ("file", "source-url", "source-document")


def custom_part(name: str, value: Any) -> Part | None:
    """The part that a CUSTOM event becomes; None for one that says nothing in a message."""
    if not name or name.startswith(_SILENT):
        return None
    if isinstance(value, Mapping):
        said = value.get("type")
        kind = said if isinstance(said, str) and said in _SOURCES else name
        part = _source(kind, value)
        if part is not None:
            return part
    short = name.removeprefix("data-")
    return {"type": "data", "name": short, "value": value} if short else None


def state_of(name: str, value: Any) -> tuple[str, str] | None:
    """What a state is about: two events with the same answer are the same state, earlier and later."""
    short = name.removeprefix("data-")
    if short not in STATES:
        return None
    call_id = value.get("toolCallId") if isinstance(value, Mapping) else None
    return short, call_id if isinstance(call_id, str) else ""


def _source(kind: str, value: Mapping[str, Any]) -> Part | None:
    given = {key: member for key, member in value.items() if isinstance(member, str) and member}
    match kind:
        case "file" if given.keys() >= {"url", "mediaType"}:
            type_ = "image" if given["mediaType"].startswith("image/") else "file"
            return {"type": type_, **_members(given, media_type="mediaType", url="url", filename="filename",
                                              upload_id="uploadId")}  # fmt: skip
        case "source-url" if "url" in given:
            source_id = given.get("sourceId", given["url"])
            return {"type": "citation", "source_id": source_id, **_members(given, url="url", title="title")}
        case "source-document" if given.keys() >= {"sourceId", "title"}:
            # A citation, which every reader takes: the client's schema of messages has no `source_document` yet.
            return {"type": "citation", **_members(given, source_id="sourceId", title="title",
                                                   media_type="mediaType", filename="filename")}  # fmt: skip
        case _:
            return None


def _members(given: Mapping[str, str], **names: str) -> dict[str, str]:
    return {name: given[source] for name, source in names.items() if source in given}
