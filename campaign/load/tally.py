"""What was counted and measured: of one second, of one worker, or of a whole run.

They are the same value, and adding loses nothing: a run is the sum of its seconds, and of its
workers. `due` is how many requests the schedule wanted by then; each of them ends as exactly one of
`answered`, one of `errors`, or `dropped`, and until it has ended it is in flight or waits.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any

from campaign.load.histogram import Histogram
from campaign.load.wire import ErrorKind


@dataclass(slots=True)
class Tally:
    """Latencies are in microseconds, times in seconds, sizes in bytes.

    `accept` counts from the intended time to the whole answer, `service` from the first byte sent;
    `lateness` is from the intended time to the first byte sent, and `late` how many began too late
    for whatever reason. What is the generator's own fault is apart: `slow` counts requests that
    were due and had a free connection, and yet began late; `lag` is how much later than asked the
    event loop woke.
    """

    due: int = 0
    taken: int = 0
    answered: int = 0
    dropped: int = 0
    late: int = 0
    slow: int = 0
    repeated: int = 0
    opened: int = 0
    bytes_out: int = 0
    bytes_in: int = 0
    cpu_seconds: float = 0.0
    errors: Counter[ErrorKind] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    accept: Histogram = field(default_factory=Histogram)
    service: Histogram = field(default_factory=Histogram)
    lateness: Histogram = field(default_factory=Histogram)
    lag: Histogram = field(default_factory=Histogram)

    @property
    def failed(self) -> int:
        """Requests that ended as an error of any kind."""
        return self.errors.total()

    def add(self, other: Tally) -> None:
        """Take over everything `other` has counted and measured."""
        self.count(other)
        for name in _HISTOGRAMS:
            getattr(self, name).merge(getattr(other, name))

    def count(self, other: Tally) -> None:
        """Take over what `other` has counted, not what it has measured."""
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.errors.update(other.errors)
        self.statuses.update(other.statuses)

    def packed(self) -> dict[str, Any]:
        """The same in plain values, to be sent to another process."""
        return {
            **{name: getattr(self, name) for name in _NUMBERS},
            "errors": {kind.value: number for kind, number in self.errors.items()},
            "statuses": dict(self.statuses),
            **{name: getattr(self, name).to_bytes() for name in _HISTOGRAMS},
        }

    @classmethod
    def unpacked(cls, plain: dict[str, Any]) -> Tally:
        """The tally that `packed` made these values of."""
        tally = cls(
            errors=Counter({ErrorKind(kind): n for kind, n in plain["errors"].items()}),
            statuses=Counter(plain["statuses"]),
        )
        for name in _NUMBERS:
            setattr(tally, name, plain[name])
        for name in _HISTOGRAMS:
            setattr(tally, name, Histogram.from_bytes(plain[name]))
        return tally


_HISTOGRAMS = ("accept", "service", "lateness", "lag")
_NUMBERS = tuple(
    one.name for one in fields(Tally) if one.name not in (*_HISTOGRAMS, "errors", "statuses")
)


class Samples:
    """Latencies (microseconds) on their way into histograms: many at once cost far less than one
    by one, and adding up histograms of every second would hold up the next requests.
    """

    __slots__ = ("accept", "lag", "lateness", "service")

    def __init__(self) -> None:
        self.accept: list[int] = []
        self.service: list[int] = []
        self.lateness: list[int] = []
        self.lag: list[int] = []

    def move_to(self, *tallies: Tally) -> None:
        """Record them in each of the tallies, and keep none."""
        for name in _HISTOGRAMS:
            values = getattr(self, name)
            for tally in tallies:
                getattr(tally, name).record_many(values)
            values.clear()


@dataclass(slots=True)
class Second:
    """One second of a run: what was counted in it, and what stood at its end.

    `nth` counts from the start; the last one may be shorter. What has ended in it need not have
    begun in it.
    """

    nth: int
    tally: Tally
    in_flight: int = 0
    waiting: int = 0

    def add(self, other: Second) -> None:
        """Take over the same second of another worker."""
        self.tally.add(other.tally)
        self.in_flight += other.in_flight
        self.waiting += other.waiting


_MOST_CPU = 0.9
_MOST_LAG_US = 20_000
_MOST_SLOW = 0.01


def bottlenecks(tally: Tally, core_seconds: float) -> list[str]:
    """Why this run says more about its generator than about its target; empty when it does not.

    `tally` is of one worker (or of all), `core_seconds` how long it ran (summed over the workers).
    """
    reasons: list[str] = []
    share = tally.cpu_seconds / core_seconds if core_seconds > 0 else 0.0
    if share > _MOST_CPU:
        reasons.append(f"the generator used {share:.0%} of its core: use more workers")
    lag = tally.lag.percentile(99) if tally.lag.count else 0
    if lag > _MOST_LAG_US:
        reasons.append(f"its event loop woke {lag / 1000:.0f} ms late (p99): the machine is busy")
    if tally.slow > _MOST_SLOW * max(1, tally.taken):
        reasons.append(
            f"{tally.slow} of {tally.taken} requests began late although a connection was free"
        )
    return reasons
