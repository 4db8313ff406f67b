"""Durations, rates and intervals: what operators write is what is meant, or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.errors import UsageError
from campaign.planner.durations import Interval, Rate, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5), ("10s", 10), ("10", 10), ("1.5", 1.5), ("5m", 300), ("5min", 300),
        ("72h", 259_200), ("2d", 172_800), (" 3 s ", 3), ("0", 0),
    ],
)  # fmt: skip
def test_a_duration_is_read_in_its_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "-1s", "1w", "1,5s", "1e3", "ten", "1s2", "9" * 400])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0s"), (0.5, "500ms"), (1.5, "1.5s"), (59.0, "59s"), (60.0, "1m"), (90.0, "90s"),
        (600.0, "10m"), (3600.0, "1h"), (259_200.0, "72h"), (1_234_567.0, "1234567s"),
        (0.0001, "0.1ms"),
    ],
)  # fmt: skip
def test_a_duration_is_written_short(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(min_value=0, max_value=10**12))
def test_a_duration_written_and_read_is_the_same(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "per_second"),
    [("20/s", 20), ("6/min", 0.1), ("6/m", 0.1), ("100/h", 100 / 3600), ("0.5/sec", 0.5),
     ("86400/day", 1), ("20 / S", 20)],
)  # fmt: skip
def test_a_rate_is_messages_per_second(text: str, per_second: float) -> None:
    rate = Rate.parse(text)
    assert rate.per_second == pytest.approx(per_second)
    assert rate.gap == pytest.approx(1 / per_second)


@pytest.mark.parametrize(
    "text", ["", "20", "0/s", "-1/s", "20/ms", "/s", "20/s/s", "9" * 400 + "/s"]
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a rate"):
        Rate.parse(text)


@pytest.mark.parametrize(
    ("text", "low", "high", "wire"),
    [("3s-6s", 3, 6, "3000-6000"), ("4s", 4, 4, "4000"), ("500ms-2", 0.5, 2, "500-2000")],
)
def test_an_interval_is_a_range(text: str, low: float, high: float, wire: str) -> None:
    interval = Interval.parse(text)
    assert (interval.low, interval.high, interval.wire) == (low, high, wire)


@pytest.mark.parametrize("text", ["", "6s-3s", "-", "3s-", "-3s", "3s-4s-5s", "1h-3h"])
def test_what_is_no_interval_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Interval.parse(text)


@given(st.floats(0, 100), st.floats(0, 100), st.floats(0, 1, exclude_max=True))
def test_every_gap_that_is_picked_lies_within_the_interval(a: float, b: float, draw: float) -> None:
    interval = Interval(min(a, b), max(a, b))
    assert interval.low <= interval.pick(draw) <= interval.high + 1e-9
