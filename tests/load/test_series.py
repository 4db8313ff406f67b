"""Seconds of several workers become seconds of the run."""

from __future__ import annotations

from campaign.load.series import Series
from campaign.load.tally import Second, Tally


def second(nth: int, due: int) -> Second:
    return Second(nth, Tally(due=due))


def test_a_second_is_passed_on_when_all_have_told_of_it() -> None:
    passed: list[tuple[int, int]] = []
    series = Series(2, lambda one: passed.append((one.nth, one.tally.due)))
    series.add(0, second(0, 1))
    series.add(0, second(1, 2))
    assert passed == []
    series.add(1, second(0, 10))
    assert passed == [(0, 11)]
    series.add(1, second(1, 20))
    assert passed == [(0, 11), (1, 22)]


def test_a_worker_that_has_ended_is_waited_for_no_longer() -> None:
    passed: list[tuple[int, int]] = []
    series = Series(2, lambda one: passed.append((one.nth, one.tally.due)))
    series.add(0, second(0, 1))
    series.add(1, second(0, 1))
    series.add(0, second(1, 5))
    series.add(0, second(2, 6))
    series.end(1)
    assert passed == [(0, 2), (1, 5), (2, 6)]
    series.add(0, second(3, 7))
    series.end(0)
    assert passed[3:] == [(3, 7)]
