"""Spans of time series."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from perdure.domain.analytics import Resolution, span_end

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("resolution", "step", "end"),
    [
        (Resolution.MINUTE, 90, datetime(2026, 11, 1, 1, 30, tzinfo=UTC)),
        (Resolution.HOUR, 1, datetime(2026, 11, 1, 1, tzinfo=UTC)),
        (Resolution.DAY, 2, datetime(2026, 11, 3, tzinfo=UTC)),
        (Resolution.WEEK, 1, datetime(2026, 11, 8, tzinfo=UTC)),
        (Resolution.MONTH, 1, datetime(2026, 12, 1, tzinfo=UTC)),
        (Resolution.MONTH, 3, datetime(2027, 2, 1, tzinfo=UTC)),
    ],
)
def test_the_end_of_a_span(resolution: Resolution, step: int, end: datetime) -> None:
    assert span_end(BEGIN, resolution, step) == end
