"""Quotas: calendar periods without gap or overlap, and room that is never more than a cap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.errors import UsageError
from campaign.planner.quotas import (
    Amounts,
    Caps,
    Period,
    Usage,
    bounds,
    parse_balance,
    parse_ramp,
    room_for,
    sim_key,
)

ZONES = (
    "UTC", "Asia/Shanghai", "Asia/Kathmandu", "Europe/London", "America/Sao_Paulo",
    "America/St_Johns", "Australia/Lord_Howe", "Africa/Cairo", "America/Havana", "Pacific/Apia",
)  # fmt: skip
moments = st.integers(1_104_537_600, 1_893_456_000).map(lambda t: datetime.fromtimestamp(t, UTC))
"""2005 to 2029."""
zones = st.sampled_from(ZONES).map(ZoneInfo)
periods = st.sampled_from(Period)
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
utc = ZoneInfo("UTC")


@given(periods, moments, zones)
def test_every_moment_lies_in_its_period_and_the_next_one_begins_where_it_ends(
    period: Period, now: datetime, zone: ZoneInfo
) -> None:
    start, end = bounds(period, now, zone)
    assert start <= now < end
    assert bounds(period, start, zone) == (start, end)
    assert bounds(period, end - timedelta(microseconds=1), zone) == (start, end)
    assert bounds(period, end, zone)[0] == end


@given(moments, zones)
def test_a_day_holds_its_hours_and_a_month_its_days(now: datetime, zone: ZoneInfo) -> None:
    hour, day, month = (bounds(period, now, zone) for period in Period)
    assert month[0] <= day[0] <= hour[0]
    assert hour[1] <= day[1] <= month[1]
    assert hour[1] - hour[0] <= timedelta(hours=1)


@pytest.mark.parametrize(
    ("zone", "now", "hours"),
    [
        pytest.param("Europe/London", datetime(2026, 3, 29, 12, tzinfo=UTC), 23, id="spring"),
        pytest.param("Europe/London", datetime(2026, 10, 25, 12, tzinfo=UTC), 25, id="autumn"),
        pytest.param("Africa/Cairo", datetime(2026, 4, 24, 12, tzinfo=UTC), 23, id="no midnight"),
        pytest.param("Asia/Kathmandu", datetime(2026, 4, 24, 12, tzinfo=UTC), 24, id="5:45"),
    ],
)
def test_a_day_is_as_long_as_daylight_saving_makes_it(zone: str, now: datetime, hours: int) -> None:
    start, end = bounds(Period.DAY, now, ZoneInfo(zone))
    assert end - start == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("now", "days"),
    [
        pytest.param(datetime(2028, 2, 29, 12, tzinfo=UTC), 29, id="leap year"),
        pytest.param(datetime(2026, 2, 28, 12, tzinfo=UTC), 28, id="february"),
        pytest.param(datetime(2026, 12, 31, 23, 59, tzinfo=UTC), 31, id="end of the year"),
    ],
)
def test_a_month_ends_where_the_calendar_says(now: datetime, days: int) -> None:
    start, end = bounds(Period.MONTH, now, utc)
    assert (start.day, end.day, end - start) == (1, 1, timedelta(days=days))


amounts = st.builds(Amounts, *[st.none() | st.integers(0, 50)] * 3)
used = st.builds(Amounts, *[st.integers(0, 60)] * 3)
all_caps = st.builds(Caps, amounts, amounts, st.lists(st.integers(1, 50), max_size=3).map(tuple))
usages = st.builds(Usage, used, used, st.integers(0, 4))


@given(all_caps, usages, st.integers(1, 5))
def test_room_and_usage_together_are_never_above_a_cap(caps: Caps, usage: Usage, need: int) -> None:
    room = room_for(caps, usage, NOON, utc, need)
    for period in Period:
        cap, so_far = caps.segments.of(period), usage.segments.of(period) or 0
        if cap is not None:
            assert room.segments is not None
            assert room.segments == 0 or room.segments + so_far <= cap
    blocked = (room.segments is not None and room.segments < need) or room.recipients == 0
    assert room.is_shut == blocked == bool(room.why)
    assert room.until is None or room.until > NOON


@given(all_caps, all_caps, usages)
def test_two_sets_of_caps_together_leave_what_the_tighter_one_leaves(
    one: Caps, other: Caps, usage: Usage
) -> None:
    together = room_for(one.tightest(other), usage, NOON, utc)
    apart = [room_for(caps, usage, NOON, utc) for caps in (one, other)]
    assert together.segments == min(
        (room.segments for room in apart if room.segments is not None), default=None
    )
    assert together.recipients == min(
        (room.recipients for room in apart if room.recipients is not None), default=None
    )


def test_what_opens_last_is_what_is_waited_for() -> None:
    caps = Caps(Amounts(hour=10, day=20))
    room = room_for(caps, Usage(Amounts(10, 20, 20)), NOON, ZoneInfo("Asia/Shanghai"))
    assert room.why == "SIM used up: 20 of 20 segments today"
    assert room.until == datetime(2026, 3, 2, 16, 0, tzinfo=UTC)  # midnight in Shanghai


def test_a_message_too_large_for_what_is_left_waits_for_the_next_period() -> None:
    caps = Caps(Amounts(hour=10))
    usage = Usage(Amounts(8, 8, 8))
    assert not room_for(caps, usage, NOON, utc).is_shut
    assert room_for(caps, usage, NOON, utc, need=3).until == NOON + timedelta(hours=1)


def test_a_new_sim_warms_up_day_by_day() -> None:
    caps = Caps(ramp=(20, 40))
    lefts = [room_for(caps, Usage(Amounts(0, 15, 15), days=day), NOON, utc).segments
             for day in range(3)]  # fmt: skip
    assert lefts == [5, 25, None]
    shut = room_for(caps, Usage(Amounts(20, 20, 20)), NOON, utc)
    assert shut.why == "SIM warming up: 20 of 20 segments on day 1 of its use"


def test_a_sim_is_its_iccid_wherever_it_is_else_its_place() -> None:
    assert sim_key(1, 3, 2, "8986") == sim_key(2, 9, None, "8986") == "8986"
    assert (sim_key(1, 3, None, ""), sim_key(1, 3, 2, "")) == ("1:3", "1:3.02")


@pytest.mark.parametrize(
    ("text", "balance"),
    [
        ("0.00", 0.0), ("100", 100.0), ("-1.5", -1.5), ("12,50 EUR", 12.5), ("¥ 1,234.5", 1234.5),
        ("1,234", 1234.0), ("1.234,50", 1234.5),
        ("", None), ("unknown", None),
    ],
)  # fmt: skip
def test_a_balance_is_read_whatever_stands_around_it(text: str, balance: float | None) -> None:
    assert parse_balance(text) == balance


def test_a_ramp_is_whole_numbers_above_zero() -> None:
    assert parse_ramp(" 20, 40 ") == (20, 40)
    assert parse_ramp("") == ()
    for text in ("20,,40", "0", "-1", "ten"):
        with pytest.raises(UsageError, match="20,40,80"):
            parse_ramp(text)
