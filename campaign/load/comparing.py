"""Two or more runs side by side, and which differences their spread allows to believe.

Theory of operation. The seconds of a run differ, and so would a repetition. Consecutive seconds
(they resemble one another) are put into at most 40 blocks; a run is drawn anew from its own blocks,
with repeats, 500 times, and so is the other; each pair of draws gives a difference. If none is
among the middle 99 % of them, chance alone makes as much of the same target. Under ten blocks
nothing is said, and nothing of a run that is invalid. This is the spread within runs: what differs
from one run to the next (a warm cache, another neighbour) only more runs can show.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from random import Random
from typing import Final, NamedTuple

from campaign.load.outcome import Moment, Outcome

_DRAWS: Final = 500
_OUTSIDE: Final = 0.005
"""The share of draws on each side that is not believed."""
_MOST_BLOCKS: Final = 40
_LEAST_BLOCKS: Final = 10
_BITS: Final = 7
"""Latencies are put together by their first seven binary digits: 1.6 % apart at most."""
_LEAST_CHANGE: Final = 0.02
"""Of a latency or a rate: less is beneath what `_BITS` can tell."""
_LEAST_LOSS: Final = 0.0005
_PERCENTS: Final = {"accept": (50, 95, 99), "report": (50, 95), "receipt": (50, 95)}


class Finding(StrEnum):
    """What a run is, compared with the first one."""

    FASTER = "faster"
    SLOWER = "slower"
    FEWER = "fewer"
    MORE = "more"
    SAME = "no difference that the spread allows"
    UNTOLD = "too little to tell"


@dataclass(frozen=True, slots=True)
class Difference:
    """Of a run to the first one.

    `change` is a share of the first one's figure (of losses: the difference of the two shares),
    `low` and `high` are the middle 99 % of what chance makes of it. `better` is None where there
    is no difference.
    """

    finding: Finding
    change: float | None = None
    low: float | None = None
    high: float | None = None
    better: bool | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of all runs, in `unit` (`ms`, `/s` or `%`); None where a run did not measure it.

    `differences` are those of the second run and of all after it.
    """

    what: str
    unit: str
    values: tuple[float | None, ...]
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """All figures, and what to know before believing them."""

    figures: tuple[Compared, ...]
    remarks: tuple[str, ...]


def compare(runs: Sequence[Outcome], rng: Random) -> Comparison:
    """Every run against the first one; `rng` draws. Raises ValueError for fewer than two."""
    if len(runs) < 2:
        raise ValueError("one run alone is compared with nothing")
    groups = [*(_Delays(clock) for clock in _PERCENTS), _Rate(), _Losses()]
    figures = [figure for group in groups for figure in _compared(group, runs, rng)]
    return Comparison(tuple(figures), tuple(_remarks(runs)))


# -- what is compared: figures of a run, and the same figures of blocks drawn from it


class _Blocks(NamedTuple):
    """A row of counts of each block; latencies are counted by the bounds (microseconds) of
    `bins`, ascending."""

    rows: Sequence[Sequence[int]]
    bins: Sequence[int] = ()


class _Group(ABC):
    """Figures that are drawn together."""

    names: tuple[str, ...]
    unit: str
    words: tuple[Finding, Finding]
    less_is_better = True
    relative = True
    least = _LEAST_CHANGE

    @abstractmethod
    def values(self, run: Outcome) -> tuple[float | None, ...]:
        """As the run measured them."""

    @abstractmethod
    def blocks(self, run: Outcome) -> _Blocks:
        """What draws are made from."""

    @abstractmethod
    def drawn(self, sums: Sequence[int], bins: Sequence[int]) -> tuple[float, ...]:
        """The figures of one draw, from the sums of its rows."""


class _Delays(_Group):
    unit = "ms"
    words = (Finding.FASTER, Finding.SLOWER)

    def __init__(self, clock: str) -> None:
        self._clock, self._percents = clock, _PERCENTS[clock]
        self.names = tuple(f"{clock} p{percent}" for percent in self._percents)

    def values(self, run: Outcome) -> tuple[float | None, ...]:
        measured = run.clocks.get(self._clock)
        if measured is None:
            return (None,) * len(self.names)
        return tuple(us / 1000 for us in measured.percentiles(*self._percents))

    def blocks(self, run: Outcome) -> _Blocks:
        moments = [moment for moment in run.series if self._clock in moment.clocks]
        counted = [_counted(some, self._clock) for some in _in_blocks(moments)]
        bins = sorted(set().union(*counted))
        return _Blocks([[block.get(us, 0) for us in bins] for block in counted], bins)

    def drawn(self, sums: Sequence[int], bins: Sequence[int]) -> tuple[float, ...]:
        running = list(accumulate(sums))
        ranks = [math.ceil(percent * running[-1] / 100) for percent in self._percents]
        return tuple(bins[bisect_left(running, rank)] / 1000 for rank in ranks)


class _Rate(_Group):
    names = ("answers",)
    unit = "/s"
    words = (Finding.SLOWER, Finding.FASTER)
    less_is_better = False

    def values(self, run: Outcome) -> tuple[float | None, ...]:
        return (run.achieved_per_second,)

    def blocks(self, run: Outcome) -> _Blocks:
        return _Blocks(
            [(sum(one.answered for one in some), len(some)) for some in _in_blocks(_busy(run))]
        )

    def drawn(self, sums: Sequence[int], _bins: Sequence[int]) -> tuple[float, ...]:
        answered, seconds = sums
        return (answered / seconds,)


class _Losses(_Group):
    names = ("lost requests",)
    unit = "%"
    words = (Finding.FEWER, Finding.MORE)
    relative = False
    least = _LEAST_LOSS

    def values(self, run: Outcome) -> tuple[float | None, ...]:
        return (100 * _lost_share(run),)

    def blocks(self, run: Outcome) -> _Blocks:
        return _Blocks([_lost_and_ended(some) for some in _in_blocks(_busy(run))])

    def drawn(self, sums: Sequence[int], _bins: Sequence[int]) -> tuple[float, ...]:
        lost, ended = sums
        return (lost / max(1, ended),)


def _lost_share(run: Outcome) -> float:
    lost = run.tally.failed + run.tally.dropped
    return lost / max(1, lost + run.tally.answered)


def _lost_and_ended(moments: Sequence[Moment]) -> tuple[int, int]:
    lost = sum(moment.failed + moment.dropped for moment in moments)
    return lost, lost + sum(moment.answered for moment in moments)


def _busy(run: Outcome) -> list[Moment]:
    """The whole seconds in which something ended: the last one of a run is cut off anywhere."""
    ended = [m for m in run.series if m.answered or m.failed or m.dropped]
    last = ended[-1].nth if ended else -1
    return [m for m in run.series if m.nth <= last and m.nth + 1 <= run.seconds]


def _in_blocks(moments: Sequence[Moment]) -> Iterator[Sequence[Moment]]:
    size = max(1, math.ceil(len(moments) / _MOST_BLOCKS))
    for at in range(0, len(moments), size):
        yield moments[at : at + size]


def _counted(moments: Sequence[Moment], clock: str) -> dict[int, int]:
    """How many latencies each bin has; a bin is named by its highest microsecond."""
    counts: dict[int, int] = {}
    for moment in moments:
        for _, high, n in moment.clocks[clock].histogram().slots():
            edge = high | (1 << max(0, high.bit_length() - _BITS)) - 1
            counts[edge] = counts.get(edge, 0) + n
    return counts


# -- what the spread allows to say


def _compared(group: _Group, runs: Sequence[Outcome], rng: Random) -> Iterator[Compared]:
    values = [group.values(run) for run in runs]
    if all(value is None for of_run in values for value in of_run):
        return
    blocks = [group.blocks(run) for run in runs]
    draws = [
        _draw(group, blocks[0], own, rng) if not (runs[0].invalid or run.invalid) else None
        for run, own in zip(runs[1:], blocks[1:], strict=True)
    ]
    for at, name in enumerate(group.names):
        first, *rest = (of_run[at] for of_run in values)
        yield Compared(
            name,
            group.unit,
            (first, *rest),
            tuple(
                _difference(group, first, value, None if drawn is None else drawn[at])
                for value, drawn in zip(rest, draws, strict=True)
            ),
        )


def _draw(group: _Group, first: _Blocks, other: _Blocks, rng: Random) -> list[list[float]] | None:
    """Differences of draws, ascending, of each figure; None where there are too few blocks."""
    if min(len(first.rows), len(other.rows)) < _LEAST_BLOCKS:
        return None
    found: list[list[float]] = [[] for _ in group.names]
    for _ in range(_DRAWS):
        pair = [group.drawn(_drawn_sums(blocks, rng), blocks.bins) for blocks in (first, other)]
        for at, (a, b) in enumerate(zip(*pair, strict=True)):
            found[at].append(_change(group, a, b))
    return [sorted(differences) for differences in found]


def _drawn_sums(blocks: _Blocks, rng: Random) -> list[int]:
    drawn = rng.choices(blocks.rows, k=len(blocks.rows))
    return [sum(column) for column in zip(*drawn, strict=True)]


def _change(group: _Group, first: float, other: float) -> float:
    if not group.relative:
        return other - first
    return other / first - 1 if first else math.copysign(math.inf, other)


def _difference(
    group: _Group, first: float | None, other: float | None, drawn: Sequence[float] | None
) -> Difference:
    if first is None or other is None:
        return Difference(Finding.UNTOLD)
    scale = 1 if group.relative else 100  # a share is shown in percent
    change = 0.0 if first == other else _change(group, first / scale, other / scale)
    if drawn is None:
        return Difference(Finding.UNTOLD, change)
    beyond = math.floor(len(drawn) * _OUTSIDE)
    low, high = drawn[beyond], drawn[-1 - beyond]
    if low <= 0 <= high or abs(change) < group.least:
        return Difference(Finding.SAME, change, low, high)
    less = change < 0
    word = group.words[0] if less else group.words[1]
    return Difference(word, change, low, high, less == group.less_is_better)


# -- what to know before


def _remarks(runs: Sequence[Outcome]) -> Iterator[str]:
    names = [chr(ord("A") + nth) for nth in range(len(runs))]
    asked: tuple[tuple[str, Callable[[Outcome], object]], ...] = (
        ("model", lambda run: run.facts.model),
        ("load", lambda run: run.facts.shape),
        ("workload", lambda run: run.facts.workload),
        ("target", lambda run: run.facts.target),
        ("connections", lambda run: run.facts.connections),
    )
    for what, of in asked:
        if len({of(run) for run in runs}) > 1:
            said = "; ".join(f"{name} {of(run)}" for name, run in zip(names, runs, strict=True))
            yield f"not the same {what}: {said}"
    for name, run in zip(names, runs, strict=True):
        if run.invalid:
            yield f"{name} is invalid, nothing is concluded from it: {run.invalid[0]}"
        lost = _lost_share(run)
        if lost > 0.01:
            yield f"{name} lost {lost:.1%} of its requests: its latencies are those of the others"
