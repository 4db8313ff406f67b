"""What is given to a port before a window closes goes on air while it is open."""

from __future__ import annotations

from hypothesis import given
from hypothesis import settings as law
from hypothesis import strategies as st

from campaign.planner.closing import (
    ASSUMED_SECONDS,
    TOO_LATE,
    TOO_SHORT,
    End,
    PortPace,
    before_close,
    last_end,
    pace_of,
)
from campaign.planner.routing import Turn, Wait
from campaign.planner.split import Grant


def turn(*counts: int) -> Turn:
    return Turn(tuple(Grant(port, count, f"1:{port}") for port, count in enumerate(counts, 1)))


def ends(left: dict[int, float | None]) -> dict[int, End | None]:
    """Windows that close in so many seconds from 1000 on, by the monotonic clock."""
    return {n: None if end is None else End(end, 1000 + end) for n, end in left.items()}


def test_a_port_gets_what_starts_in_time_behind_what_it_has() -> None:
    paces = {1: PortPace(0, 6.0), 2: PortPace(3, 6.0)}
    cut = before_close(turn(10, 10), paces, ends({0: 20.0}))
    # starts at 0, 6, 12 and 18 s; on the second port only that at 18
    assert [(grant.port, grant.count) for grant in cut.grants] == [(1, 4), (2, 1)]


def test_an_idle_port_starts_one_message_at_the_last_moment() -> None:
    assert before_close(turn(5), {1: PortPace(0, 30.0)}, ends({0: 0.0})).grants[0].count == 1
    late = before_close(turn(5), {1: PortPace(0, 30.0)}, ends({0: -0.1}))
    assert late == Turn((), (Wait(1, TOO_SHORT, 999.9),))


def test_a_lane_that_closes_soon_goes_first_and_alone() -> None:
    cut = before_close(turn(10), {1: PortPace(0, 6.0)}, ends({0: None, 1: 20.0, 2: 3600.0}))
    assert cut.grants == (Grant(1, 4, "1:1", frozenset({1})),)
    full = before_close(turn(10), {1: PortPace(4, 6.0)}, ends({0: None, 1: 20.0, 2: 3600.0}))
    assert full.grants == (Grant(1, 10, "1:1", frozenset({0, 2})),)


def test_lanes_a_port_may_not_serve_do_not_count() -> None:
    grants = Turn((Grant(1, 10, "1:1", frozenset({2})),))
    assert before_close(grants, {1: PortPace(0, 6.0)}, ends({1: 20.0, 2: 3600.0})) == grants


def test_without_any_end_nothing_is_cut() -> None:
    assert before_close(turn(10), {}, ends({0: None})) == turn(10)


def test_what_does_not_fit_waits_for_the_last_end_and_the_deadline_is_told_as_such() -> None:
    both = {0: End(1.0, 1004.0), 1: End(5.0, 1008.0, is_deadline=True)}
    assert (last_end(both.values()).why, last_end(both.values()).until) == (TOO_LATE, 1008.0)
    grants = Turn((Grant(1, 10, "1:1", frozenset({0})), Grant(2, 10, "1:2")))
    cut = before_close(grants, {1: PortPace(9, 6.0), 2: PortPace(9, 6.0)}, both)
    assert cut == Turn((), (Wait(1, TOO_SHORT, 1004.0), Wait(2, TOO_LATE, 1008.0)))


def test_an_unknown_pace_is_assumed_slow_and_a_limit_makes_it_slower() -> None:
    assert pace_of(None, 0.0, 2) == PortPace(2, ASSUMED_SECONDS)
    assert pace_of(None, 5.0, 0).seconds == ASSUMED_SECONDS + 5.0
    assert pace_of(2.0, 5.0, 0).seconds == 5.0


@law(max_examples=100, deadline=None, database=None, derandomize=True)
@given(st.integers(0, 50), st.floats(0.01, 100.0), st.floats(-50.0, 4000.0), st.integers(1, 1000))
def test_the_last_message_that_fits_starts_in_time(
    outstanding: int, seconds: float, left: float, most: int
) -> None:
    count = PortPace(outstanding, seconds).fits(left, most)
    assert 0 <= count <= most
    if count:
        assert (outstanding + count - 1) * seconds <= left + 1e-6
