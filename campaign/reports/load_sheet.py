"""What the report of a load run shows, whichever way it is written.

The load engine fills these in; this room only knows how to show them. Latencies are in
milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

LATENCY_COLUMNS: Final = ("p50", "p90", "p95", "p99", "p99.9", "max")


@dataclass(frozen=True)
class ThresholdLine:
    """`measured` is in `unit` (`ms`, `%`, or nothing for a count); None: not measured at all."""

    threshold: str
    measured: float | None
    unit: str
    broken: bool


@dataclass(frozen=True)
class LatencyLine:
    """One clock of the whole run: `figures` by `LATENCY_COLUMNS`, over `count` latencies."""

    clock: str
    meaning: str
    count: int
    figures: tuple[float, ...]


@dataclass(frozen=True)
class Quantiles:
    """Latencies that ended in a stretch of time."""

    p50: float
    p95: float
    p99: float
    most: float


@dataclass(frozen=True)
class Point:
    """A stretch of `seconds` from `start` on. Counts are of all of it; `in_flight`, `waiting` and
    `queue` (tasks in the device, None if nobody asked) are the most there were at a second's
    end."""

    start: int
    seconds: float
    due: int
    taken: int
    answered: int
    failed: int
    dropped: int
    late: int
    in_flight: int
    waiting: int
    queue: int | None
    clocks: Mapping[str, Quantiles] = field(default_factory=dict)


@dataclass(frozen=True)
class Distribution:
    """How latencies of one clock are spread: `bins` are (from, to, how many), each a like share
    wider than the one before."""

    clock: str
    bins: Sequence[tuple[float, float, int]]


@dataclass(frozen=True)
class LoadSheet:
    """One run. `facts` are what was asked for, in order, as (label, words); `counts` what became of
    requests and `account` of messages; `summary` is the JSON object.

    `points` are what charts show (some hundred at most), `seconds` all of them.
    """

    title: str
    model: str
    started_ms: int
    facts: Sequence[tuple[str, str]]
    invalid: Sequence[str]
    thresholds: Sequence[ThresholdLine]
    offered_per_second: float | None
    achieved_per_second: float
    requests: int
    answered: int
    dropped: int
    late: int
    cpu_seconds: float
    errors: Mapping[str, int]
    account: Mapping[str, int]
    latencies: Sequence[LatencyLine]
    distributions: Sequence[Distribution]
    points: Sequence[Point]
    seconds: Sequence[Point]
    summary: Mapping[str, Any]

    @property
    def broken(self) -> int:
        """How many thresholds broke."""
        return sum(line.broken for line in self.thresholds)

    @property
    def verdict(self) -> str:
        """One word: `invalid`, `broken`, `passed`, or `measured` where nothing was asked."""
        if self.invalid:
            return "invalid"
        if self.broken:
            return "broken"
        return "passed" if self.thresholds else "measured"


@dataclass(frozen=True)
class ComparedLine:
    """One figure of several runs: `values` of each, and of all but the first what it is against the
    first one: `said`, by how much (`change`), and whether that is `better` (None: neither)."""

    what: str
    values: Sequence[str]
    said: Sequence[str]
    change: Sequence[str]
    better: Sequence[bool | None]


@dataclass(frozen=True)
class ComparisonSheet:
    """Runs side by side: `runs` are (letter, title, load, started)."""

    runs: Sequence[tuple[str, str, str, int]]
    lines: Sequence[ComparedLine]
    remarks: Sequence[str]


def in_ms(ms: float) -> str:
    """A latency with three digits that count and the unit that fits: `0.42 ms`, `12.3 ms`,
    `1.5 s`."""
    value, unit = (ms / 1000, "s") if ms >= 1000 else (ms, "ms")
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}"


def rate(per_second: float) -> str:
    """`500/s`, `2.5/s`, `1,234/s`."""
    digits = 0 if per_second >= 100 or per_second == round(per_second) else 1
    return f"{per_second:,.{digits}f}/s"


def measured(line: ThresholdLine) -> str:
    """What a threshold found, in words."""
    if line.measured is None:
        return "never measured"
    if line.unit == "ms":
        return in_ms(line.measured)
    return f"{line.measured:,.2f} %" if line.unit == "%" else f"{line.measured:,.0f}"
