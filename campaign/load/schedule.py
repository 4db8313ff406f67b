"""Arrival schedules: when each request is meant to go out, fixed before the first one does.

Theory of operation. Every shape is a row of stretches on which the rate runs straight from one
figure to another. The area under it up to a time is how many requests are due by then, so request
n (from 0) is due where the area reaches n: the first at once, and as many as the whole area holds
(a begun one counts as one). Any stretch of time then holds its own area's number, give or take
one. Poisson arrivals throw the same number at random on that area.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, islice
from random import Random
from typing import Final

from campaign.errors import UsageError
from campaign.planner.durations import Rate, parse_duration

MOST_SECONDS: Final = 31 * 86_400.0
"""A month: longer than any soak, and far below where floats lose microseconds."""
MOST_PER_SECOND: Final = 1_000_000.0

_ROUNDING: Final = 1e-6
"""Requests; sums of rate times seconds are exact far better than this."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """`seconds` on which the rate runs straight from `start` to `end` requests a second."""

    seconds: float
    start: float
    end: float

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= MOST_SECONDS:
            raise UsageError(f"a load of {self.seconds:g} s: give more than 0 s, at most 31 days")
        for rate in (self.start, self.end):
            if not 0 <= rate <= MOST_PER_SECOND:
                raise UsageError(f"a rate of {rate:g}/s: give 0/s to {MOST_PER_SECOND:g}/s")

    @property
    def area(self) -> float:
        """Requests due in it."""
        return (self.start + self.end) / 2 * self.seconds

    def reached(self, area: float) -> float:
        """Seconds after which `area` requests are due."""
        if area <= 0:
            return 0.0
        growth = (self.end - self.start) / self.seconds
        # The root that stays exact for a level stretch and for one that starts at nothing.
        root = math.sqrt(max(0.0, self.start * self.start + 2 * growth * area))
        return min(2 * area / (self.start + root), self.seconds)


class _Plan(ABC):
    """What every shape is in the end; a shape that makes no plan is refused at birth."""

    __slots__ = ()

    @property
    @abstractmethod
    def stretches(self) -> tuple[Stretch, ...]: ...

    def __post_init__(self) -> None:
        if not self.stretches:
            raise UsageError("a load of no stages at all")


@dataclass(frozen=True, slots=True)
class Constant(_Plan):
    """The same rate (requests a second) throughout."""

    rate: float
    seconds: float

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        return (Stretch(self.seconds, self.rate, self.rate),)


@dataclass(frozen=True, slots=True)
class Ramp(_Plan):
    """From one rate straight to another."""

    start: float
    end: float
    seconds: float

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        return (Stretch(self.seconds, self.start, self.end),)


@dataclass(frozen=True, slots=True)
class Stages(_Plan):
    """One stretch after the other; `parse_stages` reads them."""

    stages: tuple[Stretch, ...]

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        return self.stages


@dataclass(frozen=True, slots=True)
class Spike(_Plan):
    """A level rate that jumps to `peak` for `lasting` seconds in the middle, and back."""

    rate: float
    peak: float
    seconds: float
    lasting: float

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        if not self.lasting < self.seconds:
            raise UsageError(
                f"a spike of {self.lasting:g} s does not fit into {self.seconds:g} s of load"
            )
        side = Stretch((self.seconds - self.lasting) / 2, self.rate, self.rate)
        return side, Stretch(self.lasting, self.peak, self.peak), side


@dataclass(frozen=True, slots=True)
class Soak(_Plan):
    """A rate held for long, with a slope of `edge` seconds up to it and down again."""

    rate: float
    seconds: float
    edge: float = 30.0

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        level = self.seconds - 2 * self.edge
        if level <= 0:
            raise UsageError(
                f"a soak of {self.seconds:g} s has no time for two slopes of {self.edge:g} s"
            )
        held = Stretch(level, self.rate, self.rate)
        if not self.edge:
            return (held,)
        return Stretch(self.edge, 0.0, self.rate), held, Stretch(self.edge, self.rate, 0.0)


Steady = Constant | Ramp | Stages | Spike | Soak


@dataclass(frozen=True, slots=True)
class Poisson(_Plan):
    """As many requests as `mean` plans, at random times of its density.

    A Poisson process given its count: gaps vary as those of many independent senders do, yet what
    a run will cost is known before it starts.
    """

    mean: Steady

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        return self.mean.stretches


Shape = Steady | Poisson


def seconds_of(shape: Shape) -> float:
    """How long the schedule runs."""
    return sum(stretch.seconds for stretch in shape.stretches)


def planned(shape: Shape, worker: int = 0, workers: int = 1) -> int:
    """How many requests it holds, all told or for one worker of several (see `times`)."""
    return len(_numbers(shape, worker, workers))


def rate_at(shape: Shape, second: float) -> float:
    """Requests a second that are meant then (of Poisson arrivals, on average); 0 once it is over.

    At a jump, the rate after it.
    """
    begin = 0.0
    for stretch in shape.stretches:
        if begin <= second < begin + stretch.seconds:
            along = (second - begin) / stretch.seconds
            return stretch.start + (stretch.end - stretch.start) * along
        begin += stretch.seconds
    return 0.0


def times(shape: Shape, rng: Random, worker: int = 0, workers: int = 1) -> Iterator[float]:
    """Intended seconds from the start, never decreasing, `planned` of them.

    Split over several workers, number `worker` (from 0) gets every `workers`-th time. Only
    `Poisson` draws from `rng`: the same seed gives the same times, and every worker needs the same.
    """
    numbers = _numbers(shape, worker, workers)
    if isinstance(shape, Poisson):
        thrown = _thrown(planned(shape), _area(shape), rng)
        return _placed(shape.stretches, islice(thrown, worker, None, workers))
    return _placed(shape.stretches, numbers)


def parse_stages(text: str) -> Stages:
    """`30s:500/s,1m:500-2000/s,10s:0/s`: 30 s at 500, a minute's ramp to 2,000, a pause.

    Raises `UsageError` that shows the form.
    """
    return Stages(tuple(_stage(part, text) for part in text.split(",")))


def _stage(part: str, text: str) -> Stretch:
    seconds, colon, rates = part.partition(":")
    if not colon:
        raise UsageError(f"--stages {text!r}: write DURATION:RATE[,…], as 30s:500/s,1m:500-2000/s")
    first, dash, last = rates.partition("-")
    # The unit stands once, behind both: 500-2000/s.
    unit = rates.partition("/")[2]
    start = _rate(f"{first}/{unit}" if dash else rates)
    return Stretch(parse_duration(seconds), start, _rate(last) if dash else start)


def _rate(text: str) -> float:
    number, _, unit = text.partition("/")
    # A rate of nothing is no rate elsewhere; in a stage it is a pause or the foot of a ramp.
    if number.strip() == "0":
        return 0.0 * Rate.parse(f"1/{unit}").per_second
    return Rate.parse(text).per_second


def _numbers(shape: Shape, worker: int, workers: int) -> range:
    """Which requests, counted from 0, fall to this worker."""
    if not 0 <= worker < workers:
        raise ValueError(f"there is no worker {worker} of {workers}")
    return range(worker, math.ceil(_area(shape) - _ROUNDING), workers)


def _area(shape: Shape) -> float:
    return sum(stretch.area for stretch in shape.stretches)


def _placed(stretches: tuple[Stretch, ...], areas: Iterable[float]) -> Iterator[float]:
    """The times at which so many requests are due; `areas` never decrease."""
    ends = tuple(accumulate(stretch.area for stretch in stretches))
    last = len(stretches) - 1
    at, begin, below = 0, 0.0, 0.0
    for area in areas:
        while area >= ends[at] - _ROUNDING and at < last:
            begin, below = begin + stretches[at].seconds, ends[at]
            at += 1
        yield begin + stretches[at].reached(area - below)


def _thrown(count: int, area: float, rng: Random) -> Iterator[float]:
    """`count` draws, even over the area, in ascending order and without keeping them.

    The lowest of n even draws above a point lies at 1 - u^(1/n) of what remains.
    """
    rest = area
    for left in range(count, 0, -1):
        rest *= rng.random() ** (1 / left)
        yield area - rest
