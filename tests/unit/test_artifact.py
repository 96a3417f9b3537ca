"""What artifacts may be called, and whom they are shown to (vertesia.md section 5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.domain.artifact import (
    DEFAULT_CONTENT_TYPE,
    ArtifactPath,
    ArtifactVisibility,
    artifact_path,
    content_type_of,
    file_name_of,
    generation_of,
    is_internal,
    is_shown,
)
from perdure.domain.errors import InvalidRequest

SEGMENTS = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/\\\ufffd"), min_size=1, max_size=20
).filter(lambda segment: segment not in (".", ".."))
PATHS = st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join)


@given(PATHS)
def test_ordinary_names_are_kept_as_they_are(path: str) -> None:
    assert artifact_path(path) == path


@given(st.text(max_size=60))
def test_no_path_leaves_its_run(text: str) -> None:
    try:
        path = artifact_path(text)
    except InvalidRequest:
        return
    assert path == text
    assert not path.startswith("/")
    assert not {"", ".", ".."} & set(path.split("/"))
    assert not set(path) & {"\\", "\x00", "\n"}


@pytest.mark.parametrize(
    "path",
    ["", "/", "/etc/passwd", "a//b", "a/", "../a", "a/../../b", "a/..", "./a", "a\\b", "a\x00b", "a\nb", "\ufffd",
     "\udc2f", "x" * 256, "/".join(["x" * 200] * 6)],
)  # fmt: skip
def test_bad_paths_are_refused(path: str) -> None:
    with pytest.raises(InvalidRequest):
        artifact_path(path)


@pytest.mark.parametrize(
    "path",
    ["conversation.json", "ws1-conversation.json", "conversation-checkpoint-3.json", "tools.json", "catalog.json",
     "tool-input-refs.json", "toolu_01abc.json", "toolu-1", "toolu_1/part.json", "tool-inputs/x", "tool-results/a/b",
     "archive/1", "process/history/1.json", "process/state/s", "workstreams/l1/conversation.json"],
)  # fmt: skip
def test_the_agents_own_files_are_internal(path: str) -> None:
    made = artifact_path(path)
    assert is_internal(made)
    shown = {visibility for visibility in ArtifactVisibility if is_shown(made, visibility)}
    assert shown == {ArtifactVisibility.INTERNAL, ArtifactVisibility.ALL}


@pytest.mark.parametrize(
    "path",
    ["files/tools.json", "out/report.pdf", "scripts/conversation.json", "archive", "tool-results", "mytools.json",
     "conversation-checkpoint-x.json", "process/notes.md", "workstreams/l1/out.txt", "workstreams/tools.json"],
)  # fmt: skip
def test_others_are_the_users(path: str) -> None:
    made = artifact_path(path)
    assert not is_internal(made)
    shown = {visibility for visibility in ArtifactVisibility if is_shown(made, visibility)}
    assert shown == {ArtifactVisibility.USER, ArtifactVisibility.ALL}


def test_content_types_are_kept_or_guessed() -> None:
    assert content_type_of("text/csv; charset=utf-8") == "text/csv; charset=utf-8"
    assert content_type_of(None, ArtifactPath("out/a.pdf")) == "application/pdf"
    assert content_type_of("", ArtifactPath("a.unheardof")) == DEFAULT_CONTENT_TYPE
    for bad in ("text", "text/html\r\nX: y", "tëxt/html", "a/" + "b" * 300):
        with pytest.raises(InvalidRequest):
            content_type_of(bad)


def test_names_and_generations() -> None:
    assert file_name_of("r\u00e9sum\u00e9.pdf") == "r\u00e9sum\u00e9.pdf"
    for bad in ("", "a/b", 'a"\n', "x" * 256):
        with pytest.raises(InvalidRequest):
            file_name_of(bad)
    assert generation_of("17") == 17
    assert generation_of("x17") == generation_of("") == generation_of("1" * 19) == -1
