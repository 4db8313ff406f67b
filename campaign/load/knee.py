"""The knee: the highest rate at which answers, reports and the device's queue stay bounded.

Theory of operation. From a low rate the search doubles until a step is not bounded, then halves the
gap between the highest bounded rate (the floor) and the lowest unbounded one above it (the ceiling)
until they are close enough. Noise goes one way: a hiccup of the network or the device makes a good
step look bad, but above its capacity no luck keeps a queue from growing. So one bounded reading is
proof and also clears every lower rate, while an unbounded one is a suspicion: it is measured again
at once, and the last ceiling a third time before the search ends. Where that clears it, the search
goes on upwards. A step our own generator could not send is no proof of anything and stands as a
ceiling of its own cause: the target may take more. One it sent in full though it stumbled is proof
where it is bounded: late sending makes figures worse, never better.

Everything is read from the history of steps, so a search can be replayed or taken up again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from campaign.errors import UsageError

_GROWTH: Final = 2.0
_LOOKS: Final = 3
"""Unbounded readings of one rate before the search ends below it."""
_DIGITS: Final = 4
_FINEST: Final = 0.005
"""Closer than this, rates of four digits would no longer differ."""


class Cause(StrEnum):
    """What first outgrows its bound."""

    ACCEPT = "accept"
    REPORT = "report"
    QUEUE = "queue"
    ERRORS = "errors"
    GENERATOR = "generator"


@dataclass(frozen=True, slots=True)
class Step:
    """What one rate (requests a second, as it was tried) did once it had settled.

    `accept_p99` and `report_delay` are in seconds (None: not one was seen). `queue_growth` is the
    share of the offered messages by which the device's queue grew, `errors` the share of requests
    that failed. `valid` is false where our own generator stumbled, `complete` says that it sent all
    that was due nevertheless.
    """

    rate: float
    accept_p99: float | None
    report_delay: float | None = None
    queue_growth: float | None = None
    errors: float = 0.0
    valid: bool = True
    complete: bool = False


@dataclass(frozen=True, slots=True)
class Strain:
    """How much of its bound the worst figure of a step takes: up to 1 it is bounded."""

    ratio: float
    cause: Cause

    @property
    def is_bounded(self) -> bool:
        return self.ratio <= 1


@dataclass(frozen=True, slots=True)
class Bounds:
    """What still counts as bounded, in the units of `Step`; None: that figure does not matter."""

    accept_p99: float = 0.5
    report_delay: float | None = 60.0
    queue_growth: float | None = 0.02
    errors: float = 0.01

    def __post_init__(self) -> None:
        for bound in (self.accept_p99, self.report_delay, self.queue_growth, self.errors):
            if bound is not None and not 0 < bound < math.inf:
                raise UsageError(f"a bound of {bound:g}: give a number above 0")

    def strain_of(self, step: Step) -> Strain:
        """The worst figure of a step; one that matters and was not seen is out of all bounds."""
        strain = self._worst(step)
        if step.valid or (step.complete and strain.is_bounded):
            return strain
        return Strain(math.inf, Cause.GENERATOR)

    def _worst(self, step: Step) -> Strain:
        figures = (
            (step.accept_p99, self.accept_p99, Cause.ACCEPT),
            (step.report_delay, self.report_delay, Cause.REPORT),
            (step.queue_growth, self.queue_growth, Cause.QUEUE),
            (step.errors, self.errors, Cause.ERRORS),
        )
        strains = (
            Strain(math.inf if figure is None else figure / bound, cause)
            for figure, bound, cause in figures
            if bound is not None
        )
        return max(strains, key=lambda strain: strain.ratio)


@dataclass(frozen=True, slots=True)
class Search:
    """Where to look and how closely; rates in requests a second.

    `highest` is also the safety cap. `precision` is the gap between floor and ceiling at the end
    (0.03: 3 %). Of each step, `settle` seconds pass unmeasured and `measure` seconds count.
    """

    bounds: Bounds = Bounds()
    start: float = 1.0
    lowest: float = 0.01
    highest: float = 10_000.0
    precision: float = 0.03
    most_steps: int = 60
    settle: float = 5.0
    measure: float = 20.0

    def __post_init__(self) -> None:
        if not 0 < self.lowest <= self.start <= self.highest < math.inf:
            raise UsageError(
                f"a search from {self.start:g}/s between {self.lowest:g}/s and"
                f" {self.highest:g}/s: start between the two, above 0"
            )
        if not _FINEST <= self.precision < 1:
            raise UsageError(f"a precision of {self.precision:g}: give 0.005 (0.5 %) to 1")
        if self.most_steps < 1 or self.settle < 0 or not self.measure > 0:
            raise UsageError("a search needs at least one step and time to measure it")


@dataclass(frozen=True, slots=True)
class Try:
    """The rate to try next.

    `drain`: the last step was too much; wait until the device's queue is empty first.
    """

    rate: float
    settle: float
    measure: float
    drain: bool


@dataclass(frozen=True, slots=True)
class Found:
    """The end of a search.

    `rate` is the highest that stayed bounded (0: not even the lowest did), `ceiling` the lowest
    above it that did not and `cause` why (None: every rate up to the highest allowed was bounded).
    `exact` is false where the two are further apart than asked, for want of steps or of a ceiling.
    """

    rate: float
    ceiling: float | None
    cause: Cause | None
    exact: bool


@dataclass(frozen=True, slots=True)
class Point:
    """A point of the curve: the best of `looks` readings of one rate."""

    step: Step
    strain: Strain
    looks: int

    @property
    def rate(self) -> float:
        return self.step.rate


def next_rate(history: Sequence[Step], search: Search) -> Try | Found:
    """What to do after these steps, in the order they were taken."""
    floor, ceiling = _bracket(curve(history, search.bounds))
    rate = _wanted(floor, ceiling, search)
    if rate is None or len(history) >= search.most_steps:
        return _found(floor, ceiling, ended=rate is None)
    drain = bool(history) and not search.bounds.strain_of(history[-1]).is_bounded
    return Try(rate, search.settle, search.measure, drain)


def curve(history: Sequence[Step], bounds: Bounds) -> tuple[Point, ...]:
    """Every rate tried, ascending, with the best of its readings."""
    points: dict[float, Point] = {}
    for step in history:
        strain, before = bounds.strain_of(step), points.get(step.rate)
        looks = before.looks + 1 if before else 1
        if before and before.strain.ratio <= strain.ratio:
            step, strain = before.step, before.strain
        points[step.rate] = Point(step, strain, looks)
    return tuple(points[rate] for rate in sorted(points))


def _bracket(points: Sequence[Point]) -> tuple[Point | None, Point | None]:
    """The highest bounded point, and the lowest above it (which is not bounded)."""
    floor = ceiling = None
    for point in reversed(points):
        if point.strain.is_bounded:
            floor = point
            break
        ceiling = point
    return floor, ceiling


def _wanted(floor: Point | None, ceiling: Point | None, search: Search) -> float | None:
    """The next rate, or None when the search is over."""
    if ceiling is None:
        if floor is None:
            return search.start
        if floor.rate >= search.highest:
            return None
        return min(_rounded(floor.rate * _GROWTH), search.highest)
    if ceiling.looks == 1:
        return ceiling.rate
    if floor is None and ceiling.rate > search.lowest:
        return max(_rounded(ceiling.rate / _GROWTH), search.lowest)
    if floor is not None and not _close(floor, ceiling, search):
        return _rounded(math.sqrt(floor.rate * ceiling.rate))
    return ceiling.rate if ceiling.looks < _LOOKS else None


def _close(floor: Point, ceiling: Point, search: Search) -> bool:
    return ceiling.rate <= floor.rate * (1 + search.precision)


def _found(floor: Point | None, ceiling: Point | None, *, ended: bool) -> Found:
    return Found(
        rate=floor.rate if floor else 0.0,
        ceiling=ceiling.rate if ceiling else None,
        cause=ceiling.strain.cause if ceiling else None,
        exact=ended and floor is not None and ceiling is not None,
    )


def _rounded(rate: float) -> float:
    """To four digits: what an operator reads is what was tried."""
    return float(f"{rate:.{_DIGITS}g}")
