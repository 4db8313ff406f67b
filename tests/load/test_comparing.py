"""Two runs compared: a difference is told only where their spread allows it."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from campaign.env import seeded
from campaign.load.comparing import Compared, Comparison, Finding, compare
from campaign.load.outcome import Outcome
from campaign.load.wire import ErrorKind
from tests.load.outcomes import Latency, made, steady


def run(latency: Latency | None = None, *, seed: int, seconds: int = 12, rate: int = 60) -> Outcome:
    return made(seconds=seconds, rate=rate, latency=latency, seed=seed, report_ms=None)


def told(comparison: Comparison) -> dict[str, Finding]:
    return {figure.what: figure.differences[0].finding for figure in comparison.figures}


def figure(comparison: Comparison, what: str) -> Compared:
    return next(one for one in comparison.figures if one.what == what)


def test_two_runs_of_one_target_hardly_ever_differ() -> None:
    found = [told(compare([run(seed=s), run(seed=s + 100)], seeded(s))) for s in range(5)]
    wrong = [what for one in found for what, finding in one.items() if finding is not Finding.SAME]
    assert len(wrong) <= 1, wrong


@pytest.mark.parametrize(
    ("ms", "finding", "better"), [(5.6, Finding.SLOWER, False), (2.8, Finding.FASTER, True)]
)
def test_a_target_that_takes_longer_or_less_long_is_told(
    ms: float, finding: Finding, better: bool
) -> None:
    comparison = compare([run(steady(4.0), seed=1), run(steady(ms), seed=2)], seeded(3))
    assert told(comparison)["accept p50"] is told(comparison)["accept p95"] is finding
    difference = figure(comparison, "accept p50").differences[0]
    assert difference.better is better
    assert difference.change == pytest.approx(ms / 4.0 - 1, abs=0.06)
    assert (difference.low or 0.0) <= (difference.change or 0.0) <= (difference.high or 0.0)


def test_one_stall_in_one_of_many_seconds_moves_the_tail_but_proves_nothing() -> None:
    def stalls(nth: int, rng: Random) -> float:
        return 400.0 if nth == 5 else steady()(nth, rng)

    comparison = compare([run(seed=1), run(stalls, seed=2)], seeded(3))
    tail = figure(comparison, "accept p99")
    first, other = tail.values
    assert (other or 0.0) > 20 * (first or 0.0) > 0.0
    assert tail.differences[0].finding is Finding.SAME


def test_the_same_seed_gives_the_same_answer() -> None:
    runs = [run(seed=1), run(steady(4.2), seed=2)]
    assert compare(runs, seeded(9)) == compare(runs, seeded(9))


def test_a_rate_that_is_not_reached_is_told() -> None:
    comparison = compare([run(seed=1, rate=60), run(seed=2, rate=40)], seeded(3))
    difference = figure(comparison, "answers").differences[0]
    assert (difference.finding, difference.better) == (Finding.SLOWER, False)
    assert difference.change == pytest.approx(-1 / 3, abs=0.01)


def test_lost_requests_are_told_and_warned_of() -> None:
    whole = run(seed=1, seconds=20)
    broken = run(seed=2, seconds=20)
    broken.tally.errors[ErrorKind.TIMEOUT] = 240
    broken.tally.answered -= 240
    series = [replace(one, failed=12, answered=48) for one in broken.series]
    comparison = compare([whole, replace(broken, series=series)], seeded(3))
    lost = figure(comparison, "lost requests")
    assert list(lost.values) == pytest.approx([0.0, 20.0])
    assert (lost.differences[0].finding, lost.differences[0].better) == (Finding.MORE, False)
    assert lost.differences[0].change == pytest.approx(0.2)
    assert any("B lost 20.0% of its requests" in remark for remark in comparison.remarks)


def test_too_few_seconds_tell_nothing() -> None:
    comparison = compare([run(seed=1, seconds=9), run(steady(50), seed=2, seconds=9)], seeded(1))
    assert set(told(comparison).values()) == {Finding.UNTOLD}


def test_nothing_is_concluded_from_an_invalid_run() -> None:
    invalid = replace(run(steady(50), seed=2), invalid=("worker 0: the machine is busy",))
    comparison = compare([run(seed=1), invalid], seeded(3))
    assert set(told(comparison).values()) == {Finding.UNTOLD}
    assert "B is invalid" in comparison.remarks[0]


def test_a_clock_that_only_one_run_has_is_shown_and_not_compared() -> None:
    reported = made(seconds=12, rate=30, seed=1)
    comparison = compare([reported, run(seed=2)], seeded(3))
    report = figure(comparison, "report p95")
    assert [value is None for value in report.values] == [False, True]
    assert report.differences[0].finding is Finding.UNTOLD
    assert "receipt p95" not in told(comparison)


def test_runs_of_another_load_are_compared_with_a_warning() -> None:
    closed = made(seconds=12, rate=60, seed=2, report_ms=None, planned=None)
    remarks = compare([run(seed=1), closed, run(seed=3)], seeded(3)).remarks
    assert remarks == ("not the same model: A open; B closed; C open",)


def test_one_run_is_compared_with_nothing() -> None:
    with pytest.raises(ValueError, match="alone"):
        compare([run(seed=1)], seeded(1))
