"""Sending windows in civil time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign.errors import UsageError
from campaign.planner.windows import Window


def at(text: str, zone: str = "UTC", fold: int = 0) -> datetime:
    """A local time of a zone, e.g. "2024-05-01 09:30"; 2024-05-01 is a Wednesday."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


@pytest.mark.parametrize(
    ("now", "opened"),
    [
        ("2024-05-01 07:59:59", False),
        ("2024-05-01 08:00", True),
        ("2024-05-01 20:59:59", True),
        ("2024-05-01 21:00", False),
        ("2024-05-04 12:00", True),
        ("2024-05-05 12:00", False),
    ],
)
def test_a_window_is_open_from_its_start_until_just_before_its_end(now: str, opened: bool) -> None:
    window = Window.parse("08:00-21:00", days="mon-sat", timezone="Asia/Shanghai")
    assert window.is_open(at(now, "Asia/Shanghai")) is opened
    assert window.is_open(at(now, "Asia/Shanghai").astimezone(UTC)) is opened


def test_a_closed_window_tells_when_it_opens_and_an_open_one_when_it_closes() -> None:
    window = Window.parse("08:00-21:00", days="mon-sat", timezone="Asia/Shanghai")
    saturday_night = at("2024-05-04 22:00", "Asia/Shanghai")
    assert window.next_open(saturday_night) == at("2024-05-06 00:00")
    assert window.closes_at(saturday_night) == at("2024-05-06 13:00")
    noon = at("2024-05-01 12:00", "Asia/Shanghai")
    assert window.next_open(noon) == noon
    assert window.next_open(noon).tzinfo is UTC
    assert window.closes_at(noon) == at("2024-05-01 13:00")


def test_a_window_across_midnight_belongs_to_the_day_it_opens() -> None:
    window = Window.parse("22:00-06:00", days="fri")
    assert not window.is_open(at("2024-05-03 05:00"))
    assert window.is_open(at("2024-05-03 23:00"))
    assert window.is_open(at("2024-05-04 05:59"))
    assert not window.is_open(at("2024-05-04 22:30"))
    assert window.closes_at(at("2024-05-03 23:00")) == at("2024-05-04 06:00")
    assert window.next_open(at("2024-05-04 06:00")) == at("2024-05-10 22:00")


def test_any_is_always_open_and_any_on_some_days_is_open_throughout() -> None:
    always = Window.parse("any", timezone="Asia/Shanghai")
    now = at("2024-05-05 03:00")
    assert always.is_always_open
    assert always.is_open(now)
    assert always.next_open(now) == now
    assert always.closes_at(now) is None
    weekdays = Window.parse("any", days="mon-fri")
    assert not weekdays.is_open(now)
    assert weekdays.next_open(now) == at("2024-05-06 00:00")
    assert weekdays.closes_at(at("2024-05-07 12:00")) == at("2024-05-11 00:00")
    assert Window.parse("00:00-24:00").is_always_open


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("mon-sat", {0, 1, 2, 3, 4, 5}),
        ("mon,wed,fri", {0, 2, 4}),
        ("Sat-Mon", {5, 6, 0}),
        ("mon-tue, thursday", {0, 1, 3}),
        ("sun", {6}),
        ("mon-sun", set(range(7))),
        (None, set(range(7))),
    ],
)
def test_days_are_ranges_and_lists(text: str | None, days: set[int]) -> None:
    assert Window.parse("any", days=text).days == days


@pytest.mark.parametrize(
    ("hours", "days", "zone"),
    [
        ("8-21", None, "UTC"),
        ("08:00", None, "UTC"),
        ("08:60-21:00", None, "UTC"),
        ("24:00-25:00", None, "UTC"),
        ("08:00-08:00", None, "UTC"),
        ("08:00-24:01", None, "UTC"),
        ("", None, "UTC"),
        ("any", "mo-fr", "UTC"),
        ("any", "mon-", "Nowhere/City"),
        ("any", "", "UTC"),
        ("any", None, "Nowhere/City"),
        ("any", None, "../etc/passwd"),
        ("any", None, ""),
    ],
)
def test_anything_else_is_a_usage_error(hours: str, days: str | None, zone: str) -> None:
    with pytest.raises(UsageError):
        Window.parse(hours, days=days, timezone=zone)


def test_a_start_in_the_skipped_hour_opens_at_the_jump() -> None:
    # London, 31 March 2024: 01:00 becomes 02:00 at 01:00 UTC.
    window = Window.parse("01:30-05:00", timezone="Europe/London")
    assert window.next_open(at("2024-03-31 00:30")) == at("2024-03-31 01:00")
    assert window.closes_at(at("2024-03-31 00:30")) == at("2024-03-31 04:00")


def test_a_window_inside_the_skipped_hour_opens_the_next_time() -> None:
    window = Window.parse("01:10-01:50", days="sun", timezone="Europe/London")
    assert window.next_open(at("2024-03-30 12:00")) == at("2024-04-07 00:10")
    assert window.closes_at(at("2024-03-26 12:00")) == at("2024-04-07 00:50")


def test_a_repeated_hour_opens_and_closes_a_window_once() -> None:
    # London, 27 October 2024: 02:00 becomes 01:00 at 01:00 UTC.
    window = Window.parse("00:00-01:30", timezone="Europe/London")
    assert window.closes_at(at("2024-10-26 23:30")) == at("2024-10-27 00:30")
    assert not window.is_open(at("2024-10-27 01:15", "Europe/London", fold=1))
    overnight = Window.parse("01:30-03:00", timezone="Europe/London")
    assert overnight.is_open(at("2024-10-27 01:15", "Europe/London", fold=1))


def test_naive_time_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="aware"):
        Window.parse("08:00-21:00").is_open(datetime.fromisoformat("2024-05-01"))


ZONES = ("UTC", "Asia/Shanghai", "Europe/London", "America/New_York", "Australia/Lord_Howe")


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(
    st.integers(0, 1439),
    st.integers(1, 1440),
    st.sampled_from(["mon-sat", "sun", "fri,sun", None]),
    st.sampled_from(ZONES),
    st.integers(0, 366 * 24 * 60),
)
def test_the_three_answers_agree(
    start: int, end: int, days: str | None, zone: str, minute: int
) -> None:
    if start == end:
        return
    hours = f"{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"
    window = Window.parse(hours, days=days, timezone=zone)
    now = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    opens = window.next_open(now)
    assert window.is_open(opens)
    assert (opens == now) is window.is_open(now)
    if opens > now:
        assert not window.is_open(opens - timedelta(seconds=1))
    closes = window.closes_at(now)
    if closes is not None:
        assert closes > opens
        assert not window.is_open(closes)
        assert window.is_open(closes - timedelta(seconds=1))


def test_nothing_goes_out_on_a_date_to_skip() -> None:
    window = Window.parse("08:00-21:00", timezone="Asia/Tokyo", skip=["2024-12-25", "2024-12-26"])
    assert not window.is_open(at("2024-12-25 12:00", "Asia/Tokyo"))
    eve = at("2024-12-24 21:00", "Asia/Tokyo")
    assert window.next_open(eve) == at("2024-12-27 08:00", "Asia/Tokyo")
    assert window.text == "08:00-21:00 Asia/Tokyo without 2024-12-25, 2024-12-26"
    assert not window.is_open(at("2024-12-24 23:30")), "there it is the 25th"
    assert window.is_open(at("2024-12-26 23:30")), "there it is the 27th"


def test_a_window_across_midnight_ends_where_a_date_to_skip_begins() -> None:
    window = Window.parse("22:00-06:00", skip=["2024-12-25"])
    eve = at("2024-12-24 23:00")
    assert window.closes_at(eve) == at("2024-12-25 00:00")
    # that of the skipped day does not open, its early hours of the 26th neither
    assert window.next_open(at("2024-12-25 00:00")) == at("2024-12-26 22:00")


def test_a_leap_day_is_a_date_and_may_be_skipped() -> None:
    window = Window.parse("any", skip=["2028-02-29"])
    assert not window.is_always_open
    assert window.closes_at(at("2028-02-28 12:00")) == at("2028-02-29 00:00")
    assert window.next_open(at("2028-02-29 00:00")) == at("2028-03-01 00:00")
    assert Window.parse("08:00-09:00").next_open(at("2028-02-28 10:00")) == at("2028-02-29 08:00")
    with pytest.raises(UsageError, match="write it as 2026-12-25"):
        Window.parse("any", skip=["2026-02-29"])


def test_a_weekly_window_outlasts_many_dates_to_skip() -> None:
    mondays = [date(2024, 1, 1) + timedelta(weeks=week) for week in range(30)]
    window = Window.parse("08:00-09:00", days="mon", skip=map(str, mondays))
    assert window.next_open(at("2024-01-01 00:00")) == at("2024-07-29 08:00")


@pytest.mark.parametrize(
    ("zone", "opens"),
    [
        ("Asia/Kolkata", "2024-05-01 02:30"),
        ("Asia/Kathmandu", "2024-05-01 02:15"),
        ("Australia/Eucla", "2024-04-30 23:15"),
        ("Pacific/Chatham", "2024-04-30 19:15"),
    ],
)
def test_zones_need_not_be_whole_hours_off(zone: str, opens: str) -> None:
    window = Window.parse("08:00-21:00", timezone=zone)
    assert window.next_open(at("2024-04-30 18:00")) == at(opens)


def test_a_jump_of_half_an_hour_is_a_jump() -> None:
    # Lord Howe, 6 October 2024: 02:00 becomes 02:30 at 15:30 UTC of the 5th.
    window = Window.parse("02:10-05:00", timezone="Australia/Lord_Howe")
    assert window.next_open(at("2024-10-05 12:00")) == at("2024-10-05 15:30")


def test_a_zone_without_data_says_what_is_missing() -> None:
    with pytest.raises(UsageError, match=r"'Mars/Olympus'.*install its tzdata"):
        Window.parse("any", timezone="Mars/Olympus")
