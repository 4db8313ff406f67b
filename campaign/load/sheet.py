"""A run, or several, as the reports room shows them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

from campaign.load.comparing import Compared, Comparison, Difference
from campaign.load.histogram import Histogram
from campaign.load.outcome import CLOCKS, FIGURES, Facts, Moment, Outcome
from campaign.planner.durations import format_duration
from campaign.reports.load_sheet import (
    ComparedLine,
    ComparisonSheet,
    Distribution,
    LatencyLine,
    LoadSheet,
    Point,
    Quantiles,
    ThresholdLine,
    in_ms,
    rate,
)

_MOST_POINTS: Final = 240
_BINS: Final = 48
_SHOWN: Final = ("accept", "report", "receipt")
"""Clocks whose distribution is drawn; the uncorrected ones stand beside them in the table."""


def sheet_of(outcome: Outcome) -> LoadSheet:
    """Everything a report of this run shows."""
    tally, clocks = outcome.tally, outcome.clocks
    queue = dict(outcome.queue)
    return LoadSheet(
        title=outcome.facts.target,
        model=outcome.facts.model,
        started_ms=outcome.facts.started_ms,
        facts=tuple(_facts(outcome.facts, outcome.seconds)),
        invalid=tuple(outcome.invalid),
        thresholds=[
            ThresholdLine(one.threshold, one.measured, one.unit, one.broken)
            for one in outcome.thresholds
        ],
        offered_per_second=outcome.offered_per_second,
        achieved_per_second=outcome.achieved_per_second,
        requests=tally.taken,
        answered=tally.answered,
        dropped=tally.dropped,
        late=tally.late,
        cpu_seconds=tally.cpu_seconds,
        errors=outcome.errors,
        account=outcome.account,
        latencies=[_latency(name, found) for name, found in clocks.items()],
        distributions=[_distribution(name, clocks[name]) for name in _SHOWN if name in clocks],
        points=_points(outcome, queue, _MOST_POINTS, _SHOWN),
        seconds=_points(outcome, queue, max(1, len(outcome.series)), tuple(CLOCKS)),
        summary=outcome.summary(),
    )


def point_of(moment: Moment, depth: int | None) -> Point:
    """One second of a load that still runs, as `live_line` shows it; `depth` is the device's
    queue."""
    queue = {} if depth is None else {moment.nth: depth}
    return _point(moment.nth, [moment], queue, moment.nth + 1.0, tuple(CLOCKS))


def _facts(facts: Facts, took: float) -> Iterator[tuple[str, str]]:
    sets = "the schedule sets the pace" if facts.model == "open" else "the answers set the pace"
    yield "Load", facts.shape
    yield "Model", f"{facts.model}: {sets}"
    yield "Workload", facts.workload
    yield "Connections", f"{facts.connections:,} of {_some(facts.workers, 'worker')}"
    if facts.planned is not None:
        yield "Planned", _some(facts.planned, "request")
    yield "Took", format_duration(round(took, 1))
    yield "Seed", str(facts.seed)
    yield "Version", facts.version


def _some(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' if n != 1 else ''}"


def _latency(name: str, histogram: Histogram) -> LatencyLine:
    found = histogram.percentiles(*FIGURES.values())
    return LatencyLine(name, CLOCKS[name], histogram.count, tuple(us / 1000 for us in found))


def _points(
    run: Outcome, queue: Mapping[int, int], most: int, clocks: Sequence[str]
) -> list[Point]:
    """The seconds, put together in equal stretches so that there are at most so many; with these
    clocks alone, since putting latencies together takes half a millisecond each."""
    size = max(1, math.ceil(len(run.series) / most))
    stretches = groupby(run.series, key=lambda moment: moment.nth // size)
    return [_point(nth * size, list(some), queue, run.seconds, clocks) for nth, some in stretches]


def _point(
    start: int, moments: Sequence[Moment], queue: Mapping[int, int], took: float,
    clocks: Sequence[str],
) -> Point:  # fmt: skip
    end = moments[-1].nth + 1
    names = [name for name in clocks if any(name in moment.clocks for moment in moments)]
    depths = [queue[moment.nth] for moment in moments if moment.nth in queue]
    return Point(
        start=start,
        # the last second of a run is cut off where it ended
        seconds=min(end, took) - start if took > start else end - start,
        due=sum(moment.due for moment in moments),
        taken=sum(moment.taken for moment in moments),
        answered=sum(moment.answered for moment in moments),
        failed=sum(moment.failed for moment in moments),
        dropped=sum(moment.dropped for moment in moments),
        late=sum(moment.late for moment in moments),
        in_flight=max(moment.in_flight for moment in moments),
        waiting=max(moment.waiting for moment in moments),
        queue=max(depths, default=None),
        clocks={name: _quantiles(moments, name) for name in names},
    )


def _quantiles(moments: Sequence[Moment], clock: str) -> Quantiles:
    found = [moment.clocks[clock] for moment in moments if clock in moment.clocks]
    if len(found) == 1:
        one = found[0]
        return Quantiles(one.p50 / 1000, one.p95 / 1000, one.p99 / 1000, one.most / 1000)
    total = Histogram()
    for delays in found:
        total.merge(delays.histogram())
    p50, p95, p99 = total.percentiles(50, 95, 99)
    return Quantiles(p50 / 1000, p95 / 1000, p99 / 1000, total.max / 1000)


def _distribution(clock: str, histogram: Histogram) -> Distribution:
    """Bins of equal width on a logarithmic axis, from the least to the largest latency."""
    low, high = math.log(max(1, histogram.min)), math.log(max(2, histogram.max + 1))
    width = max((high - low) / _BINS, 0.02)
    counts = [0] * (_BINS + 1)
    for first, last, n in histogram.slots():
        middle = math.log(max(1, (first + last) / 2))
        counts[min(_BINS, max(0, int((middle - low) / width)))] += n
    counts[_BINS] += histogram.above
    used = max((nth for nth, n in enumerate(counts) if n), default=-1) + 1
    edges = [math.exp(low + nth * width) / 1000 for nth in range(used + 1)]
    return Distribution(
        clock, [(edges[nth], edges[nth + 1], n) for nth, n in enumerate(counts[:used])]
    )


# -- several runs


def comparison_sheet(runs: Sequence[Outcome], comparison: Comparison) -> ComparisonSheet:
    """Runs side by side, as `compare` found them."""
    return ComparisonSheet(
        runs=[
            (chr(ord("A") + nth), run.facts.target, run.facts.shape, run.facts.started_ms)
            for nth, run in enumerate(runs)
        ],
        lines=[_line(figure) for figure in comparison.figures],
        remarks=comparison.remarks,
    )


def _line(figure: Compared) -> ComparedLine:
    return ComparedLine(
        figure.what,
        [_value(value, figure.unit) for value in figure.values],
        [difference.finding.value for difference in figure.differences],
        [_change(difference, figure.unit) for difference in figure.differences],
        [difference.better for difference in figure.differences],
    )


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    match unit:
        case "ms":
            return in_ms(value)
        case "/s":
            return rate(value)
        case _:
            return f"{value:.2f} %"


def _change(difference: Difference, unit: str) -> str:
    """`+12.3 % (+8.1 to +16.0)`: what it is, and the middle 99 % of what chance makes of it."""
    if difference.change is None or math.isinf(difference.change):
        return ""
    mark = "points" if unit == "%" else "%"
    said = f"{100 * difference.change:+.1f} {mark}"
    if difference.low is None or difference.high is None:
        return said
    return f"{said} ({100 * difference.low:+.1f} to {100 * difference.high:+.1f})"
