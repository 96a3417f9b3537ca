"""When a schedule fires: cron in a time zone, the days on which the clocks change, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from perdure.domain.errors import InvalidRequest
from perdure.domain.run import Kind
from perdure.domain.schedule import (
    ScheduleSpec,
    check_spec,
    latest_fire,
    next_fire,
)
from perdure.domain.target import RunTarget, TargetMode

BERLIN = "Europe/Berlin"


def spec(cron: str, zone: str = "UTC", target: RunTarget | None = None) -> ScheduleSpec:
    return ScheduleSpec(cron, target or RunTarget(Kind.TASK, "t"), 60, zone)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        ("* * * * *", "UTC", "2026-01-01T00:00:00.5", "2026-01-01T00:01"),
        ("* * * * *", "UTC", "2026-01-01T00:01", "2026-01-01T00:02"),
        ("0 9 * * MON-FRI", BERLIN, "2026-01-02T09:00", "2026-01-05T08:00"),
        ("0 9 * * *", BERLIN, "2026-07-01T00:00", "2026-07-01T07:00"),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00", "2028-02-29T00:00"),
        # 29 March 2026: 02:00 becomes 03:00 (01:00 UTC), and the missing 02:30 fires then, once.
        ("30 2 * * *", BERLIN, "2026-03-28T12:00", "2026-03-29T01:00"),
        ("30 2 * * *", BERLIN, "2026-03-29T01:00", "2026-03-30T00:30"),
        ("0,30 2 * * *", BERLIN, "2026-03-29T01:00", "2026-03-30T00:00"),
        # 25 October 2026: 03:00 becomes 02:00 (01:00 UTC); the first 02:30 counts, also when seen from the second.
        ("30 2 * * *", BERLIN, "2026-10-24T12:00", "2026-10-25T00:30"),
        ("30 2 * * *", BERLIN, "2026-10-25T00:30", "2026-10-26T01:30"),
        ("30 2 * * *", BERLIN, "2026-10-25T01:10", "2026-10-26T01:30"),
        # One that follows the time that passes fires in both.
        ("30 * * * *", BERLIN, "2026-10-25T00:30", "2026-10-25T01:30"),
        ("30 * * * *", BERLIN, "2026-03-29T00:30", "2026-03-29T01:30"),
    ],
)
def test_the_next_fire(cron: str, zone: str, after: str, expected: str) -> None:
    assert next_fire(spec(cron, zone), utc(after)) == utc(expected)


@pytest.mark.parametrize(
    ("cron", "zone", "known", "now", "expected"),
    [
        ("0 * * * *", "UTC", "2026-01-01T01:00", "2026-01-01T01:00", "2026-01-01T01:00"),
        ("0 * * * *", "UTC", "2026-01-01T01:00", "2026-01-01T01:00:30.2", "2026-01-01T01:00"),
        ("0 * * * *", "UTC", "2026-01-01T01:00", "2026-01-03T07:59:59.9", "2026-01-03T07:00"),
        ("* * * * *", "UTC", "2020-01-01T00:00", "2026-01-03T07:59:59.9", "2026-01-03T07:59"),
        ("30 2 * * *", BERLIN, "2026-03-20T01:30", "2026-03-29T01:00", "2026-03-29T01:00"),
        ("30 2 * * *", BERLIN, "2026-03-20T01:30", "2026-03-29T00:59", "2026-03-28T01:30"),
        ("30 2 * * *", BERLIN, "2026-10-20T00:30", "2026-10-25T01:10", "2026-10-25T00:30"),
    ],
)
def test_the_latest_of_those_that_were_missed(cron: str, zone: str, known: str, now: str, expected: str) -> None:
    assert latest_fire(spec(cron, zone), utc(known), utc(now)) == utc(expected)


@pytest.mark.parametrize(
    "cron",
    ["", "* * * *", "* * * * * *", "60 * * * *", "@daily", "0 0 30 2 *", "a b c d e", "0 0 * * 1-0", "*/0 * * * *"],
)
def test_expressions_that_are_refused(cron: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_spec(spec(cron))
    assert refused.value.pointer == "/cron"


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../etc/passwd", "/etc/passwd", "Europe", "UTC\x00"])
def test_zones_that_are_refused(zone: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_spec(spec("* * * * *", zone))
    assert refused.value.pointer == "/time_zone"


@pytest.mark.parametrize(
    "target",
    [
        RunTarget(Kind.TASK, "t", TargetMode.NONE),
        RunTarget(Kind.AGENT, "a", TargetMode.EXISTING),
        RunTarget(Kind.AGENT, "a", None, uuid4()),
    ],
)
def test_targets_that_are_refused(target: RunTarget) -> None:
    with pytest.raises(InvalidRequest):
        check_spec(spec("* * * * *", target=target))
