"""Histograms: three true digits, lossless merging, constant memory; HdrHistogram as the oracle."""

from __future__ import annotations

import math
import statistics
import sys
from array import array

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign.load.histogram import HIGHEST, Histogram

FITTING = st.one_of(
    st.integers(0, HIGHEST),
    st.integers(0, 5000),
    st.integers(0, 36).flatmap(lambda bit: st.integers(max(0, 2**bit - 2), 2**bit + 2)),
)
LATENCIES = FITTING | st.integers(HIGHEST - 2, 2**70)
PERCENTS = st.one_of(
    st.floats(0, 100), st.integers(0, 100).map(float), st.sampled_from([99.9, 99.99, 99.999])
)


def of(values: list[int]) -> Histogram:
    made = Histogram()
    made.record_many(values)
    return made


def ranked(values: list[int], percent: float) -> int:
    """The smallest value that at least `percent` of 100 values do not exceed."""
    for rank, value in enumerate(sorted(values), 1):
        if 100 * rank >= percent * len(values) - 1e-9:
            return value
    raise AssertionError


@pytest.mark.slow  # the reference walks over all its slots
@settings(max_examples=40)
@given(st.lists(st.tuples(FITTING, st.integers(1, 50)), min_size=1, max_size=30))
def test_percentiles_are_those_of_the_reference_implementation(
    recorded: list[tuple[int, int]],
) -> None:
    ours, reference = Histogram(), HdrHistogram(1, HIGHEST, 3)
    for value, thousands in recorded:
        ours.record(value, 1000 * thousands)  # so that no rank is a matter of rounding
        reference.record_value(value, 1000 * thousands)
    percents = (0.1, 1, 10, 25, 50, 75, 90, 95, 99, 99.9, 100)
    known = reference.get_percentile_to_value_dict(percents)
    # The reference names the end of the slot even where nothing so large was ever recorded.
    assert ours.percentiles(*percents) == tuple(min(known[p], ours.max) for p in percents)
    assert ours.count == reference.get_total_count()
    assert ours.mean == pytest.approx(reference.get_mean_value(), rel=1e-3, abs=0.5)


@pytest.mark.slow
@given(st.lists(FITTING, min_size=1), PERCENTS)
def test_a_percentile_is_the_ranked_value_to_three_digits_and_never_less(
    values: list[int], percent: float
) -> None:
    exact = ranked(values, percent)
    assert exact <= of(values).percentile(percent) <= exact * (1 + 1 / 1024)


@pytest.mark.slow
@given(st.lists(LATENCIES, min_size=1), PERCENTS, PERCENTS)
def test_percentiles_rise_and_stay_between_the_least_and_the_largest_value(
    values: list[int], percent: float, other: float
) -> None:
    recorded = of(values)
    low, high = recorded.percentiles(*sorted((percent, other)))
    assert min(values) <= low <= high <= max(values)
    assert recorded.percentile(100) == max(values)


@given(st.lists(LATENCIES, min_size=1))
def test_sums_are_exact(values: list[int]) -> None:
    recorded = of(values)
    assert (recorded.count, recorded.min, recorded.max) == (len(values), min(values), max(values))
    assert recorded.mean == pytest.approx(statistics.mean(values), rel=1e-15)
    assert recorded.stdev == pytest.approx(statistics.pstdev(values), rel=1e-9)


@pytest.mark.slow
@given(st.lists(LATENCIES), st.lists(LATENCIES), st.lists(LATENCIES))
def test_merging_is_recording_everything_in_one(
    first: list[int], second: list[int], third: list[int]
) -> None:
    merged = of(third)
    for values in (first, second):
        merged.merge(of(values))
    assert merged == of(first + second + third)


@given(st.lists(LATENCIES))
def test_recording_many_is_recording_each(values: list[int]) -> None:
    each, several = Histogram(), Histogram()
    for value in values:
        each.record(value)
    for value in set(values):
        several.record(value, values.count(value))
    assert of(values) == each == several


@given(st.lists(LATENCIES))
def test_bytes_bring_everything_back(values: list[int]) -> None:
    recorded = of(values)
    packed = recorded.to_bytes()
    assert Histogram.from_bytes(packed) == recorded
    assert len(packed) <= 60 + 14 * len(values)


@pytest.mark.slow
@given(st.lists(FITTING), st.binary(max_size=40), st.integers(0, 60), st.integers(0, 40))
def test_bytes_that_are_damaged_are_refused_or_still_make_sense(
    values: list[int], patch: bytes, at: int, cut: int
) -> None:
    packed = of(values).to_bytes()
    broken = (packed[:at] + patch + packed[at + len(patch) :])[: max(0, len(packed) - cut)]
    try:
        read = Histogram.from_bytes(broken)
    except ValueError:
        return
    assert sum(count for _, _, count in read.slots()) + read.above == read.count


FIVE = of([5]).to_bytes()


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"nothing of ours",
        FIVE[1:],
        FIVE[:6],
        FIVE[:-1],
        FIVE[:-1] + b"\x80",
        FIVE[:-1] + b"\2",
    ],
    ids=["nothing", "foreign", "no mark", "no slots", "odd", "half a number", "one too many"],
)
def test_other_bytes_are_no_histogram(packed: bytes) -> None:
    with pytest.raises(ValueError, match="histogram"):
        Histogram.from_bytes(packed)


@pytest.mark.slow
@given(st.lists(LATENCIES))
def test_slots_hold_every_fitting_value_once(values: list[int]) -> None:
    fitting = [value for value in values if value <= HIGHEST]
    slots = list(of(values).slots())
    assert sum(count for _, _, count in slots) == len(fitting)
    assert slots == sorted(slots)
    for low, high, count in slots:
        assert count == sum(low <= value <= high for value in fitting)
        assert high - low <= low / 1024


def test_what_is_too_large_for_a_slot_is_counted_and_told() -> None:
    recorded = of([1, HIGHEST, HIGHEST + 1, 10 * HIGHEST])
    assert (recorded.count, recorded.above, recorded.max) == (4, 2, 10 * HIGHEST)
    assert recorded.percentile(50) == pytest.approx(HIGHEST, rel=1 / 1024)
    assert recorded.percentile(75) == 10 * HIGHEST


def test_memory_does_not_grow_with_what_is_recorded() -> None:
    recorded = Histogram()
    size = sys.getsizeof(recorded._counts)
    recorded.record_many(array("Q", range(0, HIGHEST, HIGHEST // 5000)))
    recorded.record(10**30, 10**6)
    assert sys.getsizeof(recorded._counts) == size < 225_000


def test_a_rank_is_not_lost_to_rounding() -> None:
    assert 99.9 / 100 * 1000 > 999  # the trap: its ceiling is 1000
    recorded = Histogram()
    recorded.record(1, 999)
    recorded.record(1000)
    assert recorded.percentiles(99.9, 99.91) == (1, 1000)
    assert 0.07 * 10_000 / 100 > 7  # and another
    recorded = Histogram()
    recorded.record(1, 7)
    recorded.record(1000, 9993)
    assert recorded.percentiles(0.07, 0.071) == (1, 1000)


def test_ten_thousand_equal_values_have_no_spread() -> None:
    recorded = Histogram()
    recorded.record(123_456_789, 10_000)
    assert recorded.percentiles(0, 50, 100) == (123_456_789,) * 3
    assert (recorded.mean, recorded.stdev) == (123_456_789, 0)


def test_an_empty_one_says_zero() -> None:
    empty = Histogram()
    empty.record_many([])
    empty.merge(Histogram())
    assert (empty.count, empty.min, empty.max, empty.mean, empty.stdev) == (0, 0, 0, 0, 0)
    assert empty.percentiles(50, 100) == (0, 0)
    assert Histogram.from_bytes(empty.to_bytes()) == empty


@pytest.mark.parametrize("values", [[5, -1], [-1]])
def test_a_negative_latency_is_refused_and_nothing_recorded(values: list[int]) -> None:
    recorded = Histogram()
    with pytest.raises(ValueError, match="-1 us"):
        recorded.record_many(values)
    with pytest.raises(ValueError, match="-1 us"):
        recorded.record(-1)
    with pytest.raises(ValueError, match="0 times"):
        recorded.record(1, 0)
    assert recorded == Histogram()


@pytest.mark.parametrize("percent", [-0.1, 100.1, math.nan])
def test_there_is_no_percentile_beyond_all(percent: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 100"):
        of([1]).percentile(percent)


def test_a_histogram_is_equal_to_nothing_else() -> None:
    assert Histogram() != 0
    with pytest.raises(TypeError, match="unhashable"):
        hash(Histogram())
