"""Hints on their way: whatever is said arrives, in payloads that PostgreSQL takes."""

from __future__ import annotations

from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from perdure.domain.ids import ProjectId, RunId, RunKey
from perdure.ledger.notify import Router, pack, run_item, run_of, unpack
from perdure.store.notifications import MAX_PAYLOAD

run_ids = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=128)
keys = st.builds(RunKey, st.uuids().map(ProjectId), run_ids.map(RunId))


@given(keys)
@example(RunKey(ProjectId(UUID(int=0)), RunId("a\nb/c%0A%25%\r\u2028")))
def test_a_run_comes_back_whatever_its_id(key: RunKey) -> None:
    item = run_item(key)
    assert "\n" not in item
    assert run_of(item) == key


def test_what_is_no_run_is_none() -> None:
    assert run_of("") is None
    assert run_of("agent:echo") is None


@given(st.lists(keys.map(run_item), max_size=300))
def test_all_items_arrive_in_payloads_that_are_not_too_long(items: list[str]) -> None:
    arrived: list[str] = []
    for payload in pack("origin", items):
        assert len(payload.encode()) <= MAX_PAYLOAD
        origin, some = unpack(payload)
        assert origin == "origin"
        assert some
        arrived.extend(some)
    assert arrived == items


def test_a_process_does_not_hear_itself() -> None:
    heard: list[str] = []
    router = Router("me")
    router.on("channel", heard.extend)
    router.heard("channel", "me\na")
    router.heard("channel", "another\nb\nc")
    router.heard("elsewhere", "another\nd")
    router.heard_here("channel", ["e"])
    assert heard == ["b", "c", "e"]
