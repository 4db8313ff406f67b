"""The charts of a load run: rates, latencies over time, what waits, how latencies are spread."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from campaign.reports.charts import (
    HEIGHT,
    WIDTH,
    Bar,
    Chart,
    Line,
    Scale,
    across,
    bar,
    clock,
    linear,
    logarithmic,
    path,
    stairs,
    time_labels,
)
from campaign.reports.load_sheet import Distribution, LatencyLine, LoadSheet, Point, in_ms, rate

_LEAST_MS: Final = 0.01
_HEADROOM: Final = 1.03  # a line along the upper edge is hard to see
_TITLES: Final = {
    "accept": ("Latency of answers", "from the intended time"),
    "report": ("Delay of status reports", "from the intended time"),
    "receipt": ("Delay of delivery receipts", "from the intended time"),
}
_SPREADS: Final = {
    "accept": "How answers are spread",
    "report": "How status reports are spread",
    "receipt": "How delivery receipts are spread",
}


def charts_of(sheet: LoadSheet) -> list[Chart]:
    """Those of which something was measured."""
    points = sheet.points
    if not points:
        return []
    clocks = [clock for clock in _TITLES if any(clock in point.clocks for point in points)]
    return [
        _rates(points, meant=sheet.model == "open"),
        *(_latencies(points, clock) for clock in clocks),
        *_queues(points),
        *(_spread(one, _line_of(sheet, one.clock)) for one in sheet.distributions if one.bins),
    ]


class _Time:
    """The lower axis: from the start to the end of the last point."""

    def __init__(self, points: Sequence[Point]) -> None:
        self.end = points[-1].start + points[-1].seconds
        self.labels = time_labels(self.end)

    def x(self, seconds: float) -> float:
        return round(WIDTH * seconds / self.end, 2)

    def middle(self, point: Point) -> float:
        return self.x(point.start + point.seconds / 2)

    def hovers(self, points: Sequence[Point], say: Callable[[Point], str]) -> list[Bar]:
        """Something to read at each point, over the whole height."""
        spans = [(self.x(one.start), self.x(one.start + one.seconds)) for one in points]
        return [
            Bar(left, 0, round(right - left, 2), HEIGHT, f"{clock(point.start)}  {say(point)}")
            for point, (left, right) in zip(points, spans, strict=True)
        ]


def _rates(points: Sequence[Point], *, meant: bool) -> Chart:
    # of a second cut off after some milliseconds no rate can be told
    whole = [point for point in points if point.seconds >= 0.5] or points
    time = _Time(whole)
    lost = any(point.failed or point.dropped for point in whole)
    highest = max(max(one.due, one.answered, one.failed) / one.seconds for one in whole)
    scale = linear(highest * _HEADROOM)

    def steps(count: Callable[[Point], int]) -> str:
        return stairs(
            (time.x(one.start), time.x(one.start + one.seconds), scale.y(count(one) / one.seconds))
            for one in whole
        )

    lines = [Line("target", "meant", steps(lambda one: one.due))] if meant else []
    lines.append(Line("achieved", "answered", steps(lambda one: one.answered)))
    if lost:
        failed = steps(lambda one: one.failed + one.dropped)
        lines.append(Line("lost", "failed or dropped", failed))
    return Chart(
        "Rate",
        "requests a second",
        scale.left(lambda value: f"{value:,g}"),
        time.labels,
        lines,
        hovers=time.hovers(
            whole,
            lambda one: (
                f"{rate(one.answered / one.seconds)} answered"
                + (f" of {rate(one.due / one.seconds)}" if meant else "")
                + (f", {one.failed + one.dropped:,} lost" if one.failed or one.dropped else "")
            ),
        ),
    )


def _latencies(points: Sequence[Point], name: str) -> Chart:
    time = _Time(points)
    found = [point.clocks[name] for point in points if name in point.clocks]
    scale = logarithmic(
        max(_LEAST_MS, min(one.p50 for one in found)), max(_LEAST_MS, *(one.p99 for one in found))
    )

    def line(kind: str) -> Line:
        places = [
            (time.middle(point), scale.y(getattr(point.clocks[name], kind)))
            if name in point.clocks
            else None
            for point in points
        ]
        return Line(kind, kind, path(places))

    title, since = _TITLES[name]
    return Chart(
        title,
        f"{since}; the axis is logarithmic",
        scale.left(_short_ms),
        time.labels,
        [line(kind) for kind in ("p99", "p95", "p50")],
        hovers=time.hovers(
            [point for point in points if name in point.clocks],
            lambda one: (
                f"p50 {in_ms(one.clocks[name].p50)}, p95 {in_ms(one.clocks[name].p95)},"
                f" p99 {in_ms(one.clocks[name].p99)}, max {in_ms(one.clocks[name].most)}"
            ),
        ),
    )


def _queues(points: Sequence[Point]) -> Iterator[Chart]:
    """What waits: in the device, and here; both count different things on the same axis."""
    kinds: tuple[tuple[str, str, str, Callable[[Point], int | None]], ...] = (
        ("Queue in the device", "queue", "tasks that wait", lambda one: one.queue),
        ("Requests under way", "flight", "sent, not answered", lambda one: one.in_flight),
    )
    time = _Time(points)
    for title, kind, name, depth in kinds:
        counted = [n for point in points if (n := depth(point)) is not None]
        if not counted:
            continue
        ours = kind == "flight"
        waits = [point.waiting for point in points] if ours else []
        scale = linear(max([*counted, *waits, 1]) * _HEADROOM)
        lines = [Line(kind, name, path(_depths(points, time, scale, depth)))]
        if any(waits):
            waiting = path(_depths(points, time, scale, lambda one: one.waiting))
            lines.append(Line("waiting", "due, no connection free", waiting))
        yield Chart(
            title,
            "the most at the end of a second",
            scale.left(lambda value: f"{value:,g}"),
            time.labels,
            lines,
            hovers=time.hovers(
                [point for point in points if depth(point) is not None],
                lambda one, depth=depth, ours=ours: (  # type: ignore[misc]  # bound now
                    f"{depth(one):,}" + (f" under way, {one.waiting:,} waiting" if ours else "")
                ),
            ),
        )


def _depths(
    points: Sequence[Point], time: _Time, scale: Scale, depth: Callable[[Point], int | None]
) -> Iterator[tuple[float, float] | None]:
    for point in points:
        n = depth(point)
        yield None if n is None else (time.middle(point), scale.y(n))


def _spread(found: Distribution, line: LatencyLine | None) -> Chart:
    bins, total = found.bins, sum(n for _, _, n in found.bins)
    low, high = math.log(bins[0][0]), math.log(bins[-1][1])
    scale = linear(max(n for _, _, n in bins))
    ticks = logarithmic(bins[0][0], bins[-1][1]).ticks

    def along(ms: float) -> float:
        return min(1.0, max(0.0, (math.log(max(ms, 1e-6)) - low) / (high - low)))

    bars = [
        bar(
            WIDTH * along(start), WIDTH * along(end), n / max(scale.ticks),
            f"{in_ms(start)} to {in_ms(end)}: {n:,} ({n / total:.2%})", "bin",
        )
        for start, end, n in bins
        if n
    ]  # fmt: skip
    marks = dict(zip(("p50", "p95", "p99"), _marked(line), strict=False))
    return Chart(
        _SPREADS[found.clock],
        f"{total:,} of them; the lower axis is logarithmic, even one is visible",
        scale.left(lambda value: f"{value:,g}"),
        across([(one, _short_ms(one)) for one in ticks if low <= math.log(one) <= high], along),
        [
            Line(kind, f"{kind} {in_ms(ms)}", f"M{WIDTH * along(ms):.2f} 0V{HEIGHT:g}")
            for kind, ms in marks.items()
        ],
        bars,
    )


def _marked(line: LatencyLine | None) -> Sequence[float]:
    return () if line is None else (line.figures[0], line.figures[2], line.figures[3])


def _line_of(sheet: LoadSheet, clock: str) -> LatencyLine | None:
    return next((line for line in sheet.latencies if line.clock == clock), None)


def _short_ms(ms: float) -> str:
    """Round figures of an axis: `0.5 ms`, `20 ms`, `2 s`."""
    return f"{ms / 1000:g} s" if ms >= 1000 else f"{ms:g} ms"
