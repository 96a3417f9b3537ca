"""JSON text from outside, read strictly: what is accepted here can be stored and sent on without surprises."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from perdure.domain.errors import InvalidRequest

MAX_DEPTH: Final = 128
"""How many arrays and objects may stand inside each other."""

_TOO_DEEP: Final = f"The JSON is nested too deeply: flatten it to at most {MAX_DEPTH} levels of arrays and objects."
_NUL: Final = "\x00"


def decode(text: bytes | str) -> object:
    r"""The value that `text` spells: UTF-8, no lone surrogates, no NUL (`\u0000`), at most `MAX_DEPTH` levels.

    Of a repeated member name the last value counts, as for every usual JSON reader; what is stored is written from this
    value, so no later reader can take another one. Raises InvalidRequest that says what is wrong and, for a NUL, where.
    """
    return _parse(_as_text(text))


def pointer_token(key: str | int) -> str:
    """One step of a JSON pointer (RFC 6901), escaped."""
    return "/" + str(key).replace("~", "~0").replace("/", "~1")


def _as_text(text: bytes | str) -> str:
    if isinstance(text, str):
        return text
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"The JSON is not UTF-8: {error.reason} at byte {error.start}.") from None


def _parse(text: str) -> object:
    try:
        value: object = msgspec.json.decode(text)
    except msgspec.ValidationError:
        raise InvalidRequest("The JSON holds a number that is out of range.") from None
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"This is not JSON: {_reason(error)}.") from None
    except UnicodeEncodeError:
        raise InvalidRequest("This is not JSON: it holds a lone surrogate.") from None
    except RecursionError:
        raise InvalidRequest(_TOO_DEEP) from None
    # Text without enough brackets, or without the escape, cannot hold what the walks look for.
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_too_deep(value):
        raise InvalidRequest(_TOO_DEEP)
    if "\\u0000" in text:
        _refuse_nul(value)
    return value


def _reason(error: msgspec.DecodeError) -> str:
    return str(error).removeprefix("JSON is malformed: ").lower()


def _is_too_deep(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _children(node) if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def _children(node: object) -> Iterable[object]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def _refuse_nul(value: object) -> None:
    stack: list[tuple[str, object]] = [("", value)]
    while stack:
        pointer, node = stack.pop()
        if isinstance(node, str) and _NUL in node:
            raise InvalidRequest(f"Remove the NUL character (\\u0000) from `{pointer}`.", pointer=pointer)
        if isinstance(node, dict):
            if any(_NUL in key for key in node):
                raise InvalidRequest(f"Remove the NUL character (\\u0000) from a name in `{pointer}`.", pointer=pointer)
            stack.extend((pointer + pointer_token(key), child) for key, child in node.items())
        elif isinstance(node, list):
            stack.extend((pointer + pointer_token(index), child) for index, child in enumerate(node))
