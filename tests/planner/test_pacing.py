"""Pacing: evenly spaced, never a burst, and windows that follow the measured pace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.planner.pacing import FIRST_WINDOW, Bucket, PortWindow

GAPS = st.floats(0.001, 100)
WAITS = st.lists(st.floats(0, 500), min_size=2, max_size=60)


def takes(gap: float, waits: list[float], start: float = 1000.0) -> list[float]:
    """When messages go out if the sender looks again after each of `waits`."""
    bucket, now, taken = Bucket(), start, []
    for wait in waits:
        now += wait
        if bucket.ready(now):
            taken.append(now)
            bucket = bucket.take(now, gap)
    return taken


@given(GAPS, WAITS)
def test_over_any_stretch_no_more_goes_out_than_the_rate_allows(
    gap: float, waits: list[float]
) -> None:
    taken = takes(gap, waits)
    for i, first in enumerate(taken):
        for n, later in enumerate(taken[i + 1 :], 2):
            # lateness below one gap is made up: n messages span n - 2 whole gaps at the least
            assert later - first >= (n - 2) * gap - 1e-6


@given(GAPS, st.floats(0, 1e6))
def test_a_long_wait_is_not_made_up(gap: float, idle: float) -> None:
    bucket = Bucket().take(1000.0, gap)
    now = 1000.0 + 2.001 * gap + idle
    bucket = bucket.take(now, gap)
    assert not bucket.ready(now)
    assert bucket.next_at == pytest.approx(now + gap)


def test_jitter_does_not_lower_the_rate() -> None:
    # looks every 0.03 s at a gap of 0.1 s: a bucket that starts anew each time would send 1/0.12 s
    taken = takes(0.1, [0.03] * 1000)
    assert len(taken) == pytest.approx(300, abs=2)


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 100)), max_size=50), st.integers(1, 500))
def test_a_window_stays_between_one_and_its_limit_and_grows_fourfold_at_most(
    events: list[tuple[int, float]], limit: int
) -> None:
    window, now = PortWindow(size=min(FIRST_WINDOW, limit)), 0.0
    for count, wait in events:
        window = window.holding(window.size, now)
        now += wait
        grown = window.finished(count, now, 60.0, limit)
        assert 1 <= grown.size <= min(limit, window.size * 4)
        window = grown


def test_a_window_follows_the_measured_pace() -> None:
    window = PortWindow().holding(10, now=0.0)
    # one message every 3 s: twenty of them are a minute of sending
    assert window.finished(10, 30.0, 60.0, 1000).size == 20
    # one every 30 s: two
    assert window.finished(10, 300.0, 60.0, 1000).size == 2
    # one an hour: still two, or the port would stand idle from each report to the next post
    assert window.finished(10, 36_000.0, 60.0, 1000).size == 2


@pytest.mark.parametrize(("held", "size"), [(0, FIRST_WINDOW), (3, FIRST_WINDOW), (44, 44)])
def test_a_window_begins_with_what_an_earlier_run_had_given(held: int, size: int) -> None:
    assert PortWindow.of_earlier_run(held) == PortWindow(size=size)


def test_a_window_is_measured_once_half_of_it_is_worked_off() -> None:
    window = PortWindow().holding(10, now=0.0)
    window = window.finished(4, 4.0, 60.0, 1000)
    assert (window.size, window.done, window.queued) == (10, 4, 6)
    window = window.finished(1, 5.0, 60.0, 1000)
    assert (window.size, window.done, window.queued, window.busy_since) == (40, 0, 5, 5.0)


def test_idle_time_is_not_measured() -> None:
    window = PortWindow().holding(2, now=0.0).finished(2, 2.0, 60.0, 1000)
    assert window.busy_since is None
    window = window.holding(0, 500.0).holding(2, now=1000.0)
    assert window.finished(2, 1002.0, 60.0, 1000).size == window.size * 4 or window.size >= 40


def test_what_ends_on_an_idle_port_measures_nothing() -> None:
    assert PortWindow().finished(5, 1.0, 60.0, 1000) == PortWindow()


def test_back_pressure_halves_down_to_one() -> None:
    sizes = []
    window = PortWindow(size=5, queued=4, busy_since=1.0)
    for _ in range(4):
        window = window.halved()
        sizes.append(window.size)
    assert sizes == [2, 1, 1, 1]
