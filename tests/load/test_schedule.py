"""Arrival schedules: fixed in advance, exact in number, true to their shape in every second."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.errors import UsageError
from campaign.load.schedule import (
    Constant,
    Poisson,
    Ramp,
    Shape,
    Soak,
    Spike,
    Stages,
    Steady,
    Stretch,
    parse_stages,
    planned,
    rate_at,
    seconds_of,
    times,
)

RATES = st.floats(0, 30) | st.integers(0, 30).map(float)
LENGTHS = st.floats(0.1, 3) | st.integers(1, 3).map(float)
STRETCHES = st.builds(Stretch, LENGTHS, RATES, RATES)
STEADY: st.SearchStrategy[Steady] = st.one_of(
    st.builds(Constant, RATES, LENGTHS),
    st.builds(Ramp, RATES, RATES, LENGTHS),
    st.builds(Stages, st.lists(STRETCHES, min_size=1, max_size=4).map(tuple)),
    st.builds(Spike, RATES, RATES, st.floats(2, 4), st.floats(0.1, 1.5)),
    st.builds(Soak, RATES, st.floats(3, 5), st.floats(0, 1)),
)
SHAPES: st.SearchStrategy[Shape] = STEADY | st.builds(Poisson, STEADY)
SEEDS = st.integers(0, 2**32)


def area(shape: Shape, begin: float, end: float) -> float:
    """Requests due between two seconds, by adding up what the shape says for each instant."""
    total, at = 0.0, 0.0
    for stretch in shape.stretches:
        low, high = max(begin, at), min(end, at + stretch.seconds)
        if low < high:
            middle = (low + high) / 2 - at
            rate = stretch.start + (stretch.end - stretch.start) * middle / stretch.seconds
            total += rate * (high - low)
        at += stretch.seconds
    return total


@given(SHAPES, SEEDS)
def test_a_schedule_holds_what_its_rate_adds_up_to_in_order_and_within_its_time(
    shape: Shape, seed: int
) -> None:
    intended = list(times(shape, Random(seed)))
    assert len(intended) == planned(shape) == math.ceil(area(shape, 0, 99) - 1e-6)
    assert intended == sorted(intended)
    assert all(0 <= at <= seconds_of(shape) for at in intended)


@given(STEADY, st.floats(0, 10), st.floats(0.05, 2))
def test_any_stretch_of_time_holds_its_share_give_or_take_one(
    shape: Steady, begin: float, width: float
) -> None:
    end = begin + width
    count = sum(begin <= at < end for at in times(shape, Random(1)))
    assert abs(count - area(shape, begin, end)) <= 1 + 1e-4


@given(SHAPES, SEEDS, st.integers(1, 7))
def test_split_over_workers_nothing_is_lost_or_sent_twice(
    shape: Shape, seed: int, workers: int
) -> None:
    shares = [list(times(shape, Random(seed), k, workers)) for k in range(workers)]
    assert [len(share) for share in shares] == [planned(shape, k, workers) for k in range(workers)]
    assert sorted(itertools.chain(*shares)) == list(times(shape, Random(seed)))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_poisson_arrivals_are_split_like_any_others() -> None:
    shape = Poisson(Constant(50, 1))
    every = list(times(shape, Random(3)))
    for worker in range(3):
        assert list(times(shape, Random(3), worker, 3)) == every[worker::3]


@given(STEADY, SEEDS)
def test_the_same_seed_gives_the_same_poisson_times(mean: Steady, seed: int) -> None:
    shape = Poisson(mean)
    assert list(times(shape, Random(seed))) == list(times(shape, Random(seed)))


@given(STEADY, SEEDS)
def test_only_poisson_arrivals_know_chance(shape: Steady, seed: int) -> None:
    rng = Random(seed)
    before = rng.getstate()
    assert list(times(shape, rng)) == list(times(shape, Random(1)))
    assert rng.getstate() == before


def test_another_seed_gives_other_poisson_times() -> None:
    shape = Poisson(Constant(50, 2))
    assert list(times(shape, Random(1))) != list(times(shape, Random(2)))


def test_poisson_gaps_vary_as_those_of_independent_senders() -> None:
    gaps = [b - a for a, b in itertools.pairwise(times(Poisson(Constant(1000, 20)), Random(4)))]
    assert statistics.mean(gaps) == pytest.approx(1 / 1000, rel=0.01)
    assert statistics.stdev(gaps) == pytest.approx(1 / 1000, rel=0.03)  # exponential: the same
    assert sum(gap > 1 / 1000 for gap in gaps) / len(gaps) == pytest.approx(1 / math.e, abs=0.01)


def test_poisson_arrivals_follow_the_density_of_their_shape() -> None:
    shape = Poisson(Spike(100, 1000, 30, 10))
    intended = list(times(shape, Random(7)))
    assert sum(10 <= at < 20 for at in intended) == pytest.approx(10_000, rel=0.03)


def test_a_constant_rate_starts_at_once_and_keeps_an_even_gap() -> None:
    assert list(times(Constant(4, 1.5), Random(1))) == [0, 0.25, 0.5, 0.75, 1, 1.25]


def test_nothing_is_due_in_a_pause() -> None:
    intended = list(times(parse_stages("10s:1/s,5s:0/s,10s:1/s,5s:0/s"), Random(1)))
    assert intended == [*range(10), *range(15, 25)]


def test_a_rate_whose_product_is_not_exact_in_floats_plans_no_extra_request() -> None:
    assert 0.1 * 30 > 3.0 or 0.1 * 3 > 0.3  # the trap
    assert planned(Constant(0.1, 30)) == 3
    assert planned(Stages((Stretch(0.1, 10, 10),) * 30)) == 30


def test_twenty_thousand_requests_end_where_they_should() -> None:
    *_, last = times(Ramp(0, 40, 1000), Random(1))
    assert planned(Ramp(0, 40, 1000)) == 20_000
    assert 999.9 < last < 1000


@pytest.mark.parametrize(
    ("shape", "at", "rate"),
    [
        (Constant(5, 2), 1, 5),
        (Ramp(0, 10, 10), 2.5, 2.5),
        (Spike(5, 50, 10, 2), 3.9, 5),
        (Spike(5, 50, 10, 2), 4, 50),
        (Spike(5, 50, 10, 2), 6, 5),
        (Soak(30, 300, 30), 15, 15),
        (Soak(30, 300, 30), 150, 30),
        (Soak(30, 300, 30), 285, 15),
        (Poisson(Ramp(10, 0, 10)), 5, 5),
        (Constant(5, 2), 2, 0),
        (Constant(5, 2), -1, 0),
    ],
)
def test_the_rate_meant_at_a_moment(shape: Shape, at: float, rate: float) -> None:
    assert rate_at(shape, at) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("text", "stretches"),
    [
        ("30s:500/s,1m:2000/s", [(30, 500, 500), (60, 2000, 2000)]),
        (" 1m : 0-120/min , 90 : 60/min ", [(60, 0, 2), (90, 1, 1)]),
        ("500ms:10-0/s,1s:0/s", [(0.5, 10, 0), (1, 0, 0)]),
    ],
)
def test_stages_are_read(text: str, stretches: list[tuple[float, float, float]]) -> None:
    assert parse_stages(text) == Stages(tuple(Stretch(*stretch) for stretch in stretches))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "write DURATION:RATE"),
        ("500/s", "write DURATION:RATE"),
        ("30s:500/s,", "write DURATION:RATE"),
        ("500:5/s,x:5/s", "not a duration"),
        ("30s:500", "not a rate"),
        ("30s:0", "not a rate"),
        ("30s:-5/s", "not a rate"),
        ("30s:5-/s", "not a rate"),
        ("30s:5/s-9/s", "not a rate"),
        ("0s:5/s", "more than 0 s"),
        ("800h:5/s", "at most 31 days"),
        ("1s:2000000/s", "at most 31 days|0/s to 1e"),
    ],
)
def test_stages_that_mean_nothing_are_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_stages(text)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Constant(-1, 5), "a rate of -1/s"),
        (lambda: Constant(math.nan, 5), "a rate of nan/s"),
        (lambda: Constant(1, math.inf), "at most 31 days"),
        (lambda: Ramp(0, 5, 0), "more than 0 s"),
        (lambda: Spike(1, 5, 10, 10), "does not fit"),
        (lambda: Soak(1, 60, 30), "no time for two slopes"),
        (lambda: Soak(1, 60, -1), "more than 0 s"),
        (lambda: Stages(()), "no stages"),
    ],
)
def test_a_shape_that_means_nothing_is_never_born(make: Callable[[], Shape], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make()


def test_there_is_no_share_for_a_worker_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="no worker 2 of 2"):
        times(Constant(1, 1), Random(1), 2, 2)
