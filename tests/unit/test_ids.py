"""Ids of our own: their form, their order, and what the protocols ask of them."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from perdure.domain.ids import new_run_id, new_uuid

times = st.integers(0, (1 << 48) - 1)


@given(times, times, st.binary(min_size=6, max_size=6), st.binary(min_size=6, max_size=6))
def test_run_ids_are_24_hex_digits_in_the_order_of_time(early: int, late: int, one: bytes, two: bytes) -> None:
    first, second = new_run_id(early, lambda _: one), new_run_id(late, lambda _: two)
    assert re.fullmatch(r"[0-9a-f]{24}", first)
    if early != late:
        assert (first < second) == (early < late)


@given(times, st.binary(min_size=10, max_size=10))
def test_uuids_are_of_version_7(now: int, noise: bytes) -> None:
    made = new_uuid(now, lambda _: noise)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == now
    assert made == new_uuid(now, lambda _: noise)


@given(times, st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10))
def test_uuids_of_one_moment_differ_by_their_noise(now: int, one: bytes, two: bytes) -> None:
    """74 of the 80 random bits are kept, so noise that differs in those makes another id."""
    kept = (1 << 80) - 1 & ~(0b111111 << 62)
    same_noise = int.from_bytes(one) & kept == int.from_bytes(two) & kept
    assert (new_uuid(now, lambda _: one) == new_uuid(now, lambda _: two)) == same_noise


def test_without_a_source_of_randomness_ids_are_unique() -> None:
    assert len({new_run_id(0) for _ in range(1_000)} | {new_uuid(0) for _ in range(1_000)}) == 2_000
