"""Counts that add up without loss, and what makes a run invalid."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign.load.tally import Second, Tally, bottlenecks
from campaign.load.wire import ErrorKind

SMALL = st.integers(0, 10**6)


@st.composite
def tallies(draw: st.DrawFn) -> Tally:
    tally = Tally(due=draw(SMALL), taken=draw(SMALL), late=draw(SMALL), slow=draw(SMALL))
    tally.answered, tally.bytes_in, tally.cpu_seconds = draw(SMALL), draw(SMALL), draw(SMALL) / 8
    tally.errors.update(draw(st.dictionaries(st.sampled_from(ErrorKind), st.integers(1, 99))))
    tally.statuses.update(draw(st.dictionaries(st.integers(100, 599), st.integers(1, 99))))
    for histogram in (tally.accept, tally.service, tally.lateness, tally.lag):
        histogram.record_many(draw(st.lists(SMALL, max_size=5)))
    return tally


@settings(max_examples=25)
@given(tallies())
def test_what_is_packed_is_unpacked_the_same(tally: Tally) -> None:
    assert Tally.unpacked(tally.packed()) == tally


@settings(max_examples=25)
@given(st.lists(tallies(), min_size=1, max_size=4))
def test_adding_loses_nothing_in_whichever_order(parts: list[Tally]) -> None:
    forth, back = Tally(), Tally()
    for part in parts:
        forth.add(part)
    for part in reversed(parts):
        back.add(part)
    assert forth == back
    assert forth.due == sum(part.due for part in parts)
    assert forth.failed == sum(part.failed for part in parts)
    assert forth.accept.count == sum(part.accept.count for part in parts)
    assert forth.accept.max == max(part.accept.max for part in parts)


def test_the_same_second_of_two_workers_adds_up() -> None:
    second = Second(3, Tally(due=5), in_flight=2, waiting=1)
    second.add(Second(3, Tally(due=6), in_flight=3, waiting=0))
    assert (second.nth, second.tally.due, second.in_flight, second.waiting) == (3, 11, 5, 1)


def worker(*, cpu: float = 3.0, lag_us: int = 900, slow: int = 0) -> Tally:
    tally = Tally(taken=1000, slow=slow, cpu_seconds=cpu)
    tally.lag.record(lag_us, 100)
    return tally


@pytest.mark.parametrize(
    ("tally", "reason"),
    [
        (worker(cpu=9.5), "used 95% of its core"),
        (worker(lag_us=45_000), "woke 45 ms late"),
        (worker(slow=11), "11 of 1000 requests began late"),
    ],
    ids=["cpu", "lag", "slow"],
)
def test_a_generator_that_was_the_bottleneck_says_so(tally: Tally, reason: str) -> None:
    (said,) = bottlenecks(tally, 10.0)
    assert reason in said


def test_a_generator_with_room_to_spare_is_no_bottleneck() -> None:
    assert bottlenecks(worker(cpu=8.9, lag_us=19_000, slow=10), 10.0) == []
    assert bottlenecks(Tally(), 0.0) == []
