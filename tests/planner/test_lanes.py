"""Lanes: whose window is open when, by the clocks of their zones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign.planner.lanes import (
    Hours,
    Lane,
    have_hours_together,
    hours_of,
    picture,
    together_open,
)
from campaign.planner.windows import Window, zone_named

DAY = Window.parse("08:00-21:00")
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def in_zones(*names: str, window: Window = DAY) -> tuple[Window, ...]:
    return tuple(window.in_zone(zone_named(name)) for name in names)


def test_several_zones_are_open_while_all_of_them_are() -> None:
    hours = Hours(in_zones("America/New_York", "America/Los_Angeles"))
    phase = hours.phase(NOW)  # 07:00 and 04:00
    assert (phase.is_open, phase.until) == (False, NOW.replace(hour=16))
    phase = hours.phase(NOW.replace(hour=17))
    assert (phase.is_open, phase.until) == (True, datetime(2026, 3, 3, 2, tzinfo=UTC))


def test_zones_whose_hours_never_meet_have_none_together() -> None:
    evening = Window.parse("18:00-20:00")
    apart = in_zones("Europe/London", "Asia/Tokyo", window=evening)
    assert not have_hours_together(apart, NOW)
    assert together_open(apart, NOW) is None
    assert have_hours_together(in_zones("Europe/London", "Europe/Paris", window=evening), NOW)


def test_a_lane_without_zones_has_the_campaigns_hours() -> None:
    assert hours_of(DAY, Lane(0), None, None) == Hours((DAY,))
    zoned = hours_of(DAY, Lane(1, "Asia/Tokyo"), None, None)
    assert zoned.windows[0].zone == zone_named("Asia/Tokyo")
    assert not hours_of(None, Lane(1, "Asia/Tokyo"), None, None).is_bounded


def test_start_and_deadline_bound_the_hours() -> None:
    start, deadline = NOW + timedelta(hours=10), NOW + timedelta(hours=24)
    hours = Hours((DAY,), start, deadline)
    assert hours.phase(NOW).until == NOW.replace(day=3, hour=8), "it starts in the night"
    late = hours.phase(NOW.replace(day=3, hour=9))
    assert (late.is_open, late.until) == (True, deadline)
    assert hours.phase(deadline).until is None
    assert hours.next_open(NOW) == NOW.replace(day=3, hour=8)
    assert Hours((DAY,), None, NOW.replace(hour=23)).phase(NOW.replace(hour=22)).until is None


def test_a_picture_holds_until_the_first_lane_changes() -> None:
    lanes = {0: Hours((DAY,)), 1: Hours(in_zones("Asia/Tokyo")), 2: Hours()}
    seen = picture(lanes, NOW)
    assert seen.open == {0: NOW.replace(hour=21), 2: None}
    assert seen.closed == {1: NOW.replace(hour=23)}
    assert seen.until == NOW.replace(hour=21)
    assert seen.holds(NOW)
    assert not seen.holds(NOW.replace(hour=21))
    assert not seen.holds(NOW - timedelta(seconds=1)), "the clock was set back"
    assert set(seen.open_beyond(NOW.replace(hour=20))) == {0, 2}
    assert set(seen.open_beyond(NOW.replace(hour=21))) == {2}


ZONES = ("UTC", "Asia/Shanghai", "Europe/London", "America/New_York", "Australia/Lord_Howe")


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(
    st.lists(st.sampled_from(ZONES), min_size=1, max_size=3, unique=True),
    st.sampled_from(["08:00-21:00", "22:00-06:00", "10:00-16:00", "any"]),
    st.sampled_from(["mon-sat", None, "sun"]),
    st.integers(0, 366 * 24 * 60),
)
def test_a_phase_is_true_until_just_before_it_ends(
    zones: list[str], hours: str, days: str | None, minute: int
) -> None:
    windows = in_zones(*zones, window=Window.parse(hours, days=days))
    now = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    phase = Hours(windows).phase(now)
    assert phase.is_open is all(window.is_open(now) for window in windows)
    if phase.until is None:
        return
    assert phase.until > now
    for moment in (phase.until - timedelta(seconds=1), now + (phase.until - now) / 2):
        assert all(window.is_open(moment) for window in windows) is phase.is_open
    assert all(window.is_open(phase.until) for window in windows) is not phase.is_open


@pytest.mark.parametrize("names", ["", "Asia/Tokyo", "Asia/Tokyo,Europe/London"])
def test_a_lane_tells_its_zones_by_name(names: str) -> None:
    assert ",".join(Lane(0, names).zone_names) == names
