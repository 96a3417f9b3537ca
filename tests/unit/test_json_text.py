"""JSON from outside: what is refused, and that everything else comes through."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.domain.errors import InvalidRequest
from perdure.domain.json_text import MAX_DEPTH, decode, pointer_token

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(CHARACTERS),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(CHARACTERS), inner),
)


@given(VALUES, st.booleans())
def test_everything_else_comes_through(value: Any, escaped: bool) -> None:
    assert decode(json.dumps(value, ensure_ascii=escaped).encode()) == value
    assert decode(json.dumps(value, ensure_ascii=escaped)) == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "not JSON"),
        (b"{} {}", "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b"[1,]", "not JSON"),
        (b"Infinity", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'"\t"', "not JSON"),
        (b'"\\ud800"', "not JSON"),
        (b'"\\ud800\\ud800"', "not JSON"),
        (b'"\\udc00 "', "not JSON"),
        (b'{"\\ud83dabcdefgh": 1}', "not JSON"),
        ('"\ud800"', "lone surrogate"),
        (b'"\xff"', "not UTF-8: invalid start byte at byte 1"),
        (b'{"\xed\xa0\x80": 1}', "not UTF-8"),
        (b'"\xc0\x80"', "not UTF-8"),
        (b"1e400", "out of range"),
        (b"9" * 5000, "out of range"),
        (b"[" * 1000 + b"]" * 1000, "nested too deeply"),
        (b"[" * 1_000_000, "nested too deeply"),
    ],
)
def test_refused(text: bytes | str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        decode(text)


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        (r'"a\u0000b"', ""),
        (r'{"a": [1, {"b/c": "\u0000"}]}', "/a/1/b~1c"),
        (r'{"a": {"\u0000": 1}}', "/a"),
        (r'["\\", "\\\u0000"]', "/1"),
    ],
)
def test_a_nul_is_refused_with_its_place(text: str, pointer: str) -> None:
    with pytest.raises(InvalidRequest, match="NUL") as caught:
        decode(text)
    assert caught.value.pointer == pointer


def test_a_spelled_out_escape_is_no_nul() -> None:
    assert decode(rb'"\\u0000"') == r"\u0000"


@pytest.mark.parametrize("pair", [("[", "]"), ('{"a":', "}")])
def test_the_deepest_nesting(pair: tuple[str, str]) -> None:
    opening, closing = pair
    for leaf in ("1", "[]"):
        levels = MAX_DEPTH - (leaf == "[]")
        decode(opening * levels + leaf + closing * levels)
        with pytest.raises(InvalidRequest, match="nested too deeply"):
            decode(opening * (levels + 1) + leaf + closing * (levels + 1))


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert decode(msgspec.json.encode([[]] * 1000)) == [[]] * 1000
    assert decode(b'"' + b"[" * 1000 + b'"') == "[" * 1000


def test_pointer_tokens_are_escaped() -> None:
    assert pointer_token("a/b~c") + pointer_token(3) == "/a~1b~0c/3"
