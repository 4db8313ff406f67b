"""Who may send when: the schedule read by the clock, and by free connections."""

from __future__ import annotations

from campaign.load.arrivals import ClosedArrivals, OpenArrivals


def test_what_is_due_is_handed_out_in_its_order_and_not_before_its_time() -> None:
    arrivals = OpenArrivals(lambda: iter([0.0, 1.0, 1.0, 2.0]), start=100, until=110)
    assert [arrivals.take(100.5) for _ in range(2)] == [100, None]
    assert arrivals.next_at() == 101
    assert [arrivals.take(103) for _ in range(4)] == [101, 101, 102, None]
    assert arrivals.next_at() is None
    assert arrivals.over(103)


def test_what_is_due_is_counted_by_the_clock_whoever_takes_it() -> None:
    arrivals = OpenArrivals(lambda: iter([0.0, 1.0, 1.0, 2.0]), start=100, until=110)
    arrivals.pass_to(101)
    assert arrivals.due == 3
    arrivals.pass_to(101.5)
    assert arrivals.due == 3
    arrivals.pass_to(500)
    assert arrivals.due == 4
    assert arrivals.next_at() == 100


def test_after_the_end_nothing_is_handed_out() -> None:
    arrivals = OpenArrivals(lambda: iter([0.0, 1.0]), start=100, until=102)
    assert arrivals.take(102) == 100
    assert arrivals.take(102.001) is None
    assert arrivals.over(102.001)
    assert not arrivals.over(102)


def test_the_closed_model_hands_out_now_until_its_time_or_its_number_is_over() -> None:
    arrivals = ClosedArrivals(until=10, most=2)
    assert [arrivals.take(now) for now in (1.0, 1.5, 1.6)] == [1.0, 1.5, None]
    assert arrivals.due == 2
    assert ClosedArrivals(until=10).take(10) is None
