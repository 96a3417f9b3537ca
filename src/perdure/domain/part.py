"""The parts of a message: their vocabulary (veryfront.md 1.5), and how a caller's part is checked and becomes one.

The media parts of AG-UI 1.0 (image, audio, video, document, each with a `source`) become `image` and `file` parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NoReturn, assert_never

from perdure.domain.errors import InvalidRequest

Part = Mapping[str, object]
"""One part of a message: a JSON object with a `type` of `PART_MEMBERS`. Members beyond the known ones are kept."""


class ToolCallState(StrEnum):
    """How far a tool call is."""

    STREAMING = "streaming"
    PENDING = "pending"
    COMPLETED = "completed"
    ERROR = "error"


class Sort(StrEnum):
    """What a member holds, in the words of an error message."""

    TEXT = "a string"
    NAME = "a non-empty string"
    FLAG = "true or false"
    OBJECT = "an object"
    ANY = "any value"
    STATE = 'one of "streaming", "pending", "completed", "error"'


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an object: what it holds, and whether it must be there. One that need not be may be null."""

    sort: Sort
    required: bool = False


NAME: Final = Member(Sort.NAME, required=True)
TEXT: Final = Member(Sort.TEXT, required=True)
_MAYBE_TEXT: Final = Member(Sort.TEXT)
_ANYTHING: Final = Member(Sort.ANY)

_WHERE: Final = ("url", "upload_id", "data", "file_id")
"""Where the bytes of an image or file are: a URL, an upload, base64 text, or a model provider's handle."""

_MEDIA: Final = MappingProxyType(dict.fromkeys(("media_type", "filename", *_WHERE), _MAYBE_TEXT))

PART_MEMBERS: Final[Mapping[str, Mapping[str, Member]]] = MappingProxyType(
    {
        "text": MappingProxyType({"text": TEXT}),
        "image": _MEDIA,
        "file": _MEDIA,
        "tool_call": MappingProxyType(
            {"id": NAME, "name": NAME, "input": Member(Sort.OBJECT), "state": Member(Sort.STATE)}
        ),
        "tool_result": MappingProxyType({"tool_call_id": NAME, "output": _ANYTHING, "is_error": Member(Sort.FLAG)}),
        "reasoning": MappingProxyType({"text": TEXT, "signature": _MAYBE_TEXT}),
        "citation": MappingProxyType(
            {"source_id": TEXT, "url": _MAYBE_TEXT, "title": _MAYBE_TEXT, "quote": _MAYBE_TEXT}
        ),
        "source_document": MappingProxyType({"source_id": _MAYBE_TEXT, "title": _MAYBE_TEXT}),
        "step_start": MappingProxyType({}),
        "error": MappingProxyType({"message": TEXT, "code": _MAYBE_TEXT}),
        "data": MappingProxyType({"name": NAME, "value": _ANYTHING}),
    }
)
"""Every type of part and its members."""

_AG_UI_MEDIA: Final = MappingProxyType({"image": "image", "audio": "file", "video": "file", "document": "file"})
"""AG-UI's media parts and what each becomes."""

PART_TYPES: Final = tuple(sorted({*PART_MEMBERS, *_AG_UI_MEDIA}))
"""Every `type` that a caller's part may have."""

_SOURCES: Final = MappingProxyType({"data": "data", "url": "url", "file": "file_id"})
"""AG-UI's types of source and the member of `_WHERE` that takes the value."""


def parse_parts(value: object, pointer: str) -> tuple[Part, ...]:
    """The parts of `value`, a decoded JSON array that stands at JSON pointer `pointer`.

    Every tool_call has an `input` object, every tool_result an `output` and an `is_error`. Raises InvalidRequest.
    """
    if not isinstance(value, list):
        refuse(pointer, "an array of parts", value)
    return tuple(_part(part, f"{pointer}/{index}") for index, part in enumerate(value))


def _part(part: object, pointer: str) -> Part:
    if not isinstance(part, dict):
        refuse(pointer, "an object with a `type`", part)
    type_ = part.get("type")
    if not isinstance(type_, str) or (type_ not in PART_MEMBERS and type_ not in _AG_UI_MEDIA):
        refuse(f"{pointer}/type", one_of(PART_TYPES), type_, missing="type" not in part)
    if type_ not in PART_MEMBERS or (type_ in _AG_UI_MEDIA and "source" in part):
        return _ag_ui_media(part, _AG_UI_MEDIA[type_], pointer)
    members = PART_MEMBERS[type_]
    for name, member in members.items():
        check(part, name, member, pointer)
    if members is _MEDIA and not any(part.get(name) for name in _WHERE):
        raise InvalidRequest(
            f"Say where the bytes of `{pointer}` are: add `url`, `upload_id` or `data`.", pointer=pointer
        )
    match type_:
        case "tool_call":
            return {**part, "input": part.get("input") or {}}
        case "tool_result":
            return {**part, "output": part.get("output"), "is_error": bool(part.get("is_error"))}
        case _:
            return part


def _ag_ui_media(part: dict[str, object], type_: str, pointer: str) -> Part:
    """A media part of AG-UI: its source becomes a member of its own, and `media` keeps what it was."""
    source = part.get("source")
    if not isinstance(source, dict):
        refuse(f"{pointer}/source", "an object with `type` and `value`", source, missing="source" not in part)
    where = source.get("type")
    if not isinstance(where, str) or where not in _SOURCES:
        refuse(f"{pointer}/source/type", one_of(_SOURCES), where, missing="type" not in source)
    check(source, "value", NAME, f"{pointer}/source")
    spelling, media_type = either(source, "mimeType", "mime_type")
    check(source, spelling, Member(Sort.TEXT, required=where == "data"), f"{pointer}/source")
    made = {"type": type_, "media": part["type"], "media_type": media_type, _SOURCES[where]: source["value"]}
    provider = source.get("provider")
    return {name: value for name, value in {**made, "provider": provider}.items() if value is not None}


# --- checks and their errors -----------------------------------------------------------------------------------------


def check(value: Mapping[str, object], name: str, member: Member, pointer: str) -> None:
    """Refuses the object `value`, which stands at `pointer`, when its member `name` is not as `member` says."""
    found = value.get(name)
    if found is None and not member.required:
        return
    if not _fits(found, member.sort):
        refuse(f"{pointer}/{name}", member.sort, found, missing=name not in value)


def either(value: Mapping[str, object], name: str, snake_case: str) -> tuple[str, object]:
    """A member that may be spelled in two ways: the spelling used, and its value."""
    return (snake_case, value[snake_case]) if snake_case in value else (name, value.get(name))


def one_of(words: Iterable[str]) -> str:
    """A choice, in the words of an error message."""
    return "one of " + ", ".join(f'"{word}"' for word in words)


def refuse(pointer: str, expected: str, found: object, *, missing: bool = False) -> NoReturn:
    """Raises the InvalidRequest that says what belongs at `pointer`, and what is there instead."""
    if missing:
        raise InvalidRequest(f"Add `{pointer}`, {expected}.", pointer=pointer)
    raise InvalidRequest(f"`{pointer}` must be {expected}, not {_named(found)}.", pointer=pointer)


def _fits(value: object, sort: Sort) -> bool:
    match sort:
        case Sort.TEXT:
            return isinstance(value, str)
        case Sort.NAME:
            return isinstance(value, str) and value != ""
        case Sort.FLAG:
            return isinstance(value, bool)
        case Sort.OBJECT:
            return isinstance(value, dict)
        case Sort.ANY:
            return True
        case Sort.STATE:
            return any(value == state.value for state in ToolCallState)
        case _:
            assert_never(sort)


def _named(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"' if len(value) <= 40 else "another string"
        case int() | float():
            return "a number"
        case list():
            return "an array"
        case _:
            return "an object"
