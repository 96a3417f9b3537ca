"""A signed URL allows what it says, until it ends, and nothing can be made of it but that (vertesia.md section 5)."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.domain.artifact import Disposition, artifact_path
from perdure.domain.errors import SignedUrlRefused
from perdure.domain.ids import ProjectId, RunId, RunKey
from perdure.domain.signed_url import Access, Grant, granted, signed

SECRET = b"s" * 32
GRANT = Grant(
    Access.READ,
    RunKey(ProjectId(UUID(int=1)), RunId("run-1")),
    artifact_path("out/r\u00e9port.pdf"),
    1_000,
    Disposition.INLINE,
    "r.pdf",
)
OTHERS = [
    replace(GRANT, access=Access.WRITE),
    replace(GRANT, key=RunKey(ProjectId(UUID(int=2)), RunId("run-1"))),
    replace(GRANT, key=RunKey(ProjectId(UUID(int=1)), RunId("run-2"))),
    replace(GRANT, path=artifact_path("out/other.pdf")),
    replace(GRANT, expires_at_ms=2_000),
    replace(GRANT, disposition=Disposition.ATTACHMENT),
    replace(GRANT, disposition=None),
    replace(GRANT, file_name="s.pdf"),
    replace(GRANT, file_name=None),
]


@pytest.mark.parametrize("grant", [GRANT, *OTHERS])
def test_a_token_says_what_was_granted(grant: Grant) -> None:
    token = signed(grant, SECRET)
    assert granted(token, SECRET, 0) == grant
    assert token.isascii()
    assert "/" not in token


@pytest.mark.parametrize("other", OTHERS)
def test_the_signature_of_one_grant_is_no_signature_of_another(other: Grant) -> None:
    text = signed(other, SECRET).partition(".")[0]
    mac = signed(GRANT, SECRET).partition(".")[2]
    with pytest.raises(SignedUrlRefused):
        granted(f"{text}.{mac}", SECRET, 0)


def test_it_ends() -> None:
    token = signed(GRANT, SECRET)
    granted(token, SECRET, 999)
    with pytest.raises(SignedUrlRefused, match="expired"):
        granted(token, SECRET, 1_000)


def test_another_servers_token_is_refused() -> None:
    with pytest.raises(SignedUrlRefused):
        granted(signed(GRANT, b"t" * 32), SECRET, 0)


@given(st.data())
def test_no_changed_token_is_taken(data: st.DataObject) -> None:
    token = signed(GRANT, SECRET)
    place = data.draw(st.integers(0, len(token) - 1))
    char = data.draw(st.sampled_from("abcXYZ019-_.=~ ").filter(lambda other: other != token[place]))
    with pytest.raises(SignedUrlRefused):
        granted(token[:place] + char + token[place + 1 :], SECRET, 0)


@given(st.text(max_size=200) | st.sampled_from([".", "a.b", "." * 50, "=" * 44]))
def test_nothing_else_is_taken(text: str) -> None:
    with pytest.raises(SignedUrlRefused):
        granted(text, SECRET, 0)
