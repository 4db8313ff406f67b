"""Where lines, bars and labels of a chart stand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign.reports.charts import (
    HEIGHT,
    across,
    bar,
    clock,
    linear,
    logarithmic,
    path,
    stairs,
    time_labels,
)

POSITIVE = st.floats(1e-3, 1e9)


@settings(max_examples=60)
@given(POSITIVE)
def test_a_linear_axis_begins_at_nothing_and_holds_what_it_is_for(highest: float) -> None:
    scale = linear(highest)
    assert scale.y(0) == HEIGHT
    assert 0 <= scale.y(highest) < HEIGHT * 0.7
    assert 3 <= len(scale.ticks) <= 6
    assert scale.ticks[-1] >= highest * (1 - 1e-9)


@settings(max_examples=60)
@given(POSITIVE, POSITIVE)
def test_a_logarithmic_axis_has_round_labels_around_both_ends(a: float, b: float) -> None:
    low, high = sorted((a, b))
    scale = logarithmic(low, high)
    assert HEIGHT >= scale.y(low) >= scale.y(high) >= 0
    assert 1 <= len(scale.ticks) <= 14
    assert list(scale.ticks) == sorted(scale.ticks)
    assert all(-1e-9 <= scale.place(tick) <= 1 + 1e-9 for tick in scale.ticks)


def test_decades_are_equally_far_apart_on_a_logarithmic_axis() -> None:
    scale = logarithmic(1.2, 990.0)
    assert scale.ticks == [1.0, 10.0, 100.0, 1000.0]
    assert [scale.place(tick) for tick in scale.ticks] == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_latencies_that_hardly_differ_still_get_labels() -> None:
    assert logarithmic(1100.0, 1790.0).ticks == [1000.0, 1500.0, 2000.0]


@pytest.mark.parametrize(
    ("seconds", "texts"),
    [
        (3, ["0:00", "0:01", "0:02", "0:03"]),
        (30, ["0:00", "0:05", "0:10", "0:15", "0:20", "0:25", "0:30"]),
        (100, ["0:00", "0:30", "1:00", "1:30"]),
        (7200, ["0:00", "30:00", "1:00:00", "1:30:00", "2:00:00"]),
    ],
)
def test_the_time_axis_has_round_labels(seconds: float, texts: list[str]) -> None:
    assert [label.text for label in time_labels(seconds)] == texts


def test_labels_at_the_ends_stay_inside() -> None:
    labels = across([(0, "a"), (5, "b"), (10, "c")], lambda at: at / 10)
    assert [(one.at, one.anchor) for one in labels] == [(0, "start"), (50, "middle"), (100, "end")]


def test_a_line_is_interrupted_where_nothing_was_measured() -> None:
    assert path([(0, 1), (2, 3), None, (4.5, 5)]) == "M0 1h0L2 3M4.5 5h0"


def test_a_level_stretch_is_drawn_level() -> None:
    assert stairs([(0, 1, 9), (1, 2, 7)]) == "M0 9H1L1 7H2"


def test_even_one_of_a_million_has_a_bar_to_be_seen_and_nothing_has_none() -> None:
    assert bar(0, 10, 1e-6, "").height > 1
    assert bar(0, 10, 0.0, "").height == 0
    assert bar(0, 10, 1.0, "").y == 0


@pytest.mark.parametrize(("seconds", "words"), [(5, "0:05"), (750, "12:30"), (3600, "1:00:00")])
def test_a_time_reads_as_on_a_clock(seconds: float, words: str) -> None:
    assert clock(seconds) == words
