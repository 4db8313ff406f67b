"""What reports show of a run: its own figures, and nothing lost by putting seconds together."""

from __future__ import annotations

import re
from dataclasses import replace
from random import Random

import pytest

from campaign.env import seeded
from campaign.load.comparing import compare
from campaign.load.histogram import Histogram
from campaign.load.sheet import comparison_sheet, sheet_of
from campaign.load.thresholds import Threshold
from campaign.load.wire import ErrorKind
from tests.load.outcomes import made, steady


def test_a_short_run_is_shown_second_by_second() -> None:
    run = made(seconds=5, rate=40, errors={ErrorKind.RESET: 3})
    sheet = sheet_of(run.judged([Threshold.parse("errors>1%")]))
    assert [point.answered for point in sheet.points] == [40, 40, 37, 40, 40]
    assert [point.queue for point in sheet.points] == [20, 21, 22, 23, 24]
    assert [point.clocks.keys() for point in sheet.points] == [{"accept", "report"}] * 5
    assert sheet.seconds[0].clocks.keys() == run.series[0].clocks.keys()
    assert sheet.points[0].clocks["accept"].p99 == run.series[0].clocks["accept"].p99 / 1000
    assert (sheet.verdict, sheet.broken) == ("broken", 1)
    assert [line.clock for line in sheet.latencies][:2] == ["accept", "accept_uncorrected"]


def test_a_long_run_is_put_together_without_losing_a_request_or_a_peak() -> None:
    def stall(nth: int, rng: Random) -> float:
        return 2000.0 if nth == 133 else steady()(nth, rng)

    run = made(seconds=251, rate=2, latency=stall, queue=[(200, 99)])
    sheet = sheet_of(run)
    assert (len(sheet.points), len(sheet.seconds)) == (126, 251)
    assert sum(point.answered for point in sheet.points) == 502
    assert [point.seconds for point in sheet.points[-2:]] == [2, 1]
    (worst,) = [point for point in sheet.points if point.clocks["accept"].most > 1000]
    assert worst.start == 132
    assert [point.queue for point in sheet.points if point.queue is not None] == [99]
    merged = Histogram()
    for moment in run.series[:2]:
        merged.merge(moment.clocks["accept"].histogram())
    assert sheet.points[0].clocks["accept"].p95 == merged.percentile(95) / 1000


def test_the_last_second_is_as_long_as_the_run_was() -> None:
    run = replace(made(seconds=3, rate=20), seconds=2.25)
    assert [point.seconds for point in sheet_of(run).points] == [1, 1, pytest.approx(0.25)]


@pytest.mark.parametrize("ms", [0.02, 4.0, 90_000.0])
def test_the_bins_of_a_distribution_hold_every_latency_and_join(ms: float) -> None:
    sheet = sheet_of(made(seconds=2, rate=200, latency=steady(ms), report_ms=None))
    (spread,) = sheet.distributions
    assert sum(n for _, _, n in spread.bins) == 400
    assert all(a[1] == b[0] for a, b in zip(spread.bins, spread.bins[1:], strict=False))
    assert len(spread.bins) <= 49


def test_one_latency_alone_is_a_distribution_of_one_bin() -> None:
    run = made(seconds=1, rate=1, report_ms=None)
    assert [n for _, _, n in sheet_of(run).distributions[0].bins] == [1]


def test_an_invalid_run_is_invalid_before_all_else() -> None:
    run = replace(made(seconds=1, rate=10), invalid=("worker 0: the machine is busy",))
    run = run.judged([Threshold.parse("accept_p50>0us")])
    assert (sheet_of(run).broken, sheet_of(run).verdict) == (1, "invalid")


def test_a_comparison_is_told_in_units() -> None:
    runs = [
        made(seconds=12, rate=60, seed=1, report_ms=None),
        made(seconds=12, rate=60, seed=2, latency=steady(8.0), report_ms=None),
    ]
    sheet = comparison_sheet(runs, compare(runs, seeded(1)))
    line = sheet.lines[0]
    assert (line.what, line.said, line.better) == ("accept p50", ["slower"], [False])
    assert line.values[0].endswith(" ms")
    assert re.fullmatch(r"\+\d+\.\d % \(\+\d+\.\d to \+\d+\.\d\)", line.change[0])
    assert sheet.lines[-1].values == ["0.00 %", "0.00 %"]
    assert [letter for letter, *_ in sheet.runs] == ["A", "B"]
