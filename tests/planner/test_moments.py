"""Moments as operators write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from campaign.errors import UsageError
from campaign.planner.moments import parse_moment, start_and_deadline

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-12-01T09:00:00Z", "2026-12-01T09:00:00"),
        ("2026-12-01T09:00:00+08:00", "2026-12-01T01:00:00"),
        ("2026-12-01 09:00", "2026-12-01T01:00:00"),
        ("2026-12-01T09:00", "2026-12-01T01:00:00"),
        ("18:30", "2026-03-02T10:30:00"),
        ("9:00", "2026-03-03T01:00:00"),
        ("18:00", "2026-03-02T10:00:00"),
        ("+2h", "2026-03-02T12:00:00"),
        ("+90", "2026-03-02T10:01:30"),
        ("2028-02-29 09:00", "2028-02-29T01:00:00"),
    ],
)
def test_a_moment_is_read_by_the_clocks_of_the_zone(text: str, meant: str) -> None:
    assert parse_moment(text, NOW, "Asia/Shanghai") == datetime.fromisoformat(meant + "+00:00")


@pytest.mark.parametrize(
    "text",
    ["", "noon", "2026-12-01", "2026-02-29 09:00", "25:00", "09:60", "+", "+2weeks", "+99999999h",
     "2026-12-01 09:00 Asia/Tokyo", "9999-12-31T23:59:00-10:00", "0001-01-01T00:00:00+10:00"],
)  # fmt: skip
def test_anything_else_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        parse_moment(text, NOW, "UTC")


def test_a_time_that_daylight_saving_skips_is_the_moment_of_the_skip() -> None:
    # London, 29 March 2026: 01:00 becomes 02:00
    meant = parse_moment("2026-03-29 01:30", NOW, "Europe/London")
    assert meant == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    # 25 October 2026: 02:00 becomes 01:00; the first of the two counts
    meant = parse_moment("2026-10-25 01:30", NOW, "Europe/London")
    assert meant == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_a_deadline_counts_from_the_start() -> None:
    start, deadline = start_and_deadline("18:00", "+8h", NOW, "UTC")
    assert start == NOW + timedelta(hours=8)
    assert deadline == NOW + timedelta(hours=16)
    assert start_and_deadline(None, "+8h", NOW, "UTC") == (None, NOW + timedelta(hours=8))
    # a time alone is the next one after the start
    assert start_and_deadline("18:00", "09:00", NOW, "UTC")[1] == NOW + timedelta(hours=23)
    assert start_and_deadline(None, None, NOW, "UTC") == (None, None)


def test_the_end_of_the_calendar_is_a_usage_error_too() -> None:
    with pytest.raises(UsageError):
        parse_moment("9999-12-31T23:59", NOW, "America/New_York")
