"""What a whole run came to: what was asked for, what was counted and measured, what it means.

A run is kept second by second, too: charts are drawn from it, and the spread between seconds is
what a comparison of two runs rests on. A second's live histograms take a megabyte; a `Moment` keeps
the same without loss in some kilobytes, so that an hour fits into memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from campaign.load.histogram import Histogram
from campaign.load.tally import Second, Tally
from campaign.load.thresholds import Threshold, Verdict

CLOCKS: Final[Mapping[str, str]] = {
    "accept": "from the intended time to the HTTP answer",
    "accept_uncorrected": "from the first byte sent to the HTTP answer",
    "lateness": "from the intended time to the first byte sent",
    "report": "from the intended time to the status report",
    "report_uncorrected": "from the HTTP answer to the status report",
    "receipt": "from the intended time to the delivery receipt",
    "receipt_uncorrected": "from the HTTP answer to the delivery receipt",
}
"""Every clock of a run, and what it counts. One that is absent was not measured."""

FIGURES: Final[Mapping[str, float]] = {
    "p50": 50, "p90": 90, "p95": 95, "p99": 99, "p999": 99.9, "max": 100,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Facts:
    """What was asked for. `target` and `workload` are for people's eyes: no credentials in them.

    `shape` is the schedule in words, `scheduled` how many seconds it runs, `planned` how many
    requests it holds (None in the closed model, where answers set the pace). `connections` are
    those of all workers together.
    """

    target: str
    shape: str
    workload: str
    scheduled: float
    planned: int | None
    connections: int
    workers: int
    seed: int
    started_ms: int
    version: str

    @property
    def model(self) -> str:
        """Who sets the pace: the schedule (`open`) or the target's answers (`closed`)."""
        return "closed" if self.planned is None else "open"


@dataclass(frozen=True, slots=True)
class Delays:
    """The latencies that ended in one second: a histogram, packed, and what charts need of it (all
    in microseconds)."""

    packed: bytes
    count: int
    p50: int
    p95: int
    p99: int
    most: int

    @classmethod
    def of(cls, histogram: Histogram) -> Delays:
        """Everything the histogram holds."""
        p50, p95, p99 = histogram.percentiles(50, 95, 99)
        return cls(histogram.to_bytes(), histogram.count, p50, p95, p99, histogram.max)

    def histogram(self) -> Histogram:
        """The same histogram again; a quarter of a megabyte."""
        return Histogram.from_bytes(self.packed)


@dataclass(frozen=True, slots=True)
class Moment:
    """One second of a run, counted from 0. `in_flight` and `waiting` are as of its end.

    `clocks` has the latencies that ended in this second, by clock; without those of nothing.
    """

    nth: int
    due: int = 0
    taken: int = 0
    answered: int = 0
    failed: int = 0
    dropped: int = 0
    late: int = 0
    in_flight: int = 0
    waiting: int = 0
    clocks: Mapping[str, Delays] = field(default_factory=dict)

    @classmethod
    def of(cls, second: Second, delays: Mapping[str, Histogram] | None = None) -> Moment:
        """A second as a worker told of it, and the other delays (reports, receipts) seen in it."""
        tally = second.tally
        measured = clocks_of(tally) | dict(delays or {})
        return cls(
            second.nth, tally.due, tally.taken, tally.answered, tally.failed, tally.dropped,
            tally.late, second.in_flight, second.waiting,
            {name: Delays.of(found) for name, found in measured.items() if found.count},
        )  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """A whole run. `seconds` is how long it took with the wait for the last answers.

    `delays` are the histograms of reports and receipts (see `CLOCKS`); those of requests stand in
    `tally`. `errors` counts failed requests by kind (`errors_of`, and what else the caller found
    wrong with answers). `account` says what became of the messages: `accepted`, `refused`,
    `reported`, `failed`, `duplicated`, `unreported`, `receipts` and more; empty when nobody kept
    one. `queue` is the depth of the device's queue by second, `invalid` why the run says more about
    its generator than about its target.
    """

    facts: Facts
    seconds: float
    tally: Tally
    errors: Mapping[str, int]
    delays: Mapping[str, Histogram] = field(default_factory=dict)
    account: Mapping[str, int] = field(default_factory=dict)
    queue: Sequence[tuple[int, int]] = ()
    series: Sequence[Moment] = ()
    thresholds: Sequence[Verdict] = ()
    invalid: Sequence[str] = ()

    @property
    def clocks(self) -> Mapping[str, Histogram]:
        """Everything measured, in the order of `CLOCKS`; a clock without a value is absent."""
        measured = {**clocks_of(self.tally), **self.delays}
        return {name: measured[name] for name in CLOCKS if name in measured}

    @property
    def broken(self) -> bool:
        """Whether a threshold broke."""
        return any(verdict.broken for verdict in self.thresholds)

    @property
    def offered_per_second(self) -> float | None:
        """What the schedule wanted, on average; None in the closed model."""
        planned, scheduled = self.facts.planned, self.facts.scheduled
        return None if planned is None or scheduled <= 0 else planned / scheduled

    @property
    def achieved_per_second(self) -> float:
        """Answers a second, up to the last one: what hangs afterwards slows down nobody."""
        busy = [moment.nth + 1.0 for moment in self.series if moment.answered]
        seconds = min([self.seconds, *busy[-1:]])
        return self.tally.answered / seconds if seconds > 0 else 0.0

    def judged(self, thresholds: Sequence[Threshold]) -> Outcome:
        """The same run with what these thresholds say of it."""
        summary = self.summary()
        return replace(self, thresholds=tuple(one.judge(summary) for one in thresholds))

    def summary(self) -> dict[str, Any]:
        """What `load run --json` prints, and what thresholds are judged by; latencies in ms."""
        facts, tally = self.facts, self.tally
        started = datetime.fromtimestamp(facts.started_ms / 1000, UTC)
        return {
            "target": facts.target,
            "model": facts.model,
            "shape": facts.shape,
            "workload": facts.workload,
            "seed": facts.seed,
            "connections": facts.connections,
            "workers": facts.workers,
            "version": facts.version,
            "started_at": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "seconds": round(self.seconds, 3),
            "planned": facts.planned,
            "offered_per_second": _rounded(self.offered_per_second),
            "achieved_per_second": _rounded(self.achieved_per_second),
            "requests": tally.taken,
            "answered": tally.answered,
            "errors": dict(self.errors),
            "dropped": tally.dropped,
            "late": tally.late,
            "repeated": tally.repeated,
            "bytes_out": tally.bytes_out,
            "bytes_in": tally.bytes_in,
            "latency_ms": {name: latency_ms(found) for name, found in self.clocks.items()},
            "account": dict(self.account),
            "accepted": self.account.get("accepted"),
            "unreported": self.account.get("unreported"),
            "queue_max": max((depth for _, depth in self.queue), default=None),
            "cpu_seconds": round(tally.cpu_seconds, 3),
            "thresholds": [_verdict(one) for one in self.thresholds],
            "valid": not self.invalid,
            "invalid": list(self.invalid),
        }


def clocks_of(tally: Tally) -> dict[str, Histogram]:
    """The clocks of the requests alone: those that a tally has; without those of nothing."""
    found = {
        "accept": tally.accept,
        "accept_uncorrected": tally.service,
        "lateness": tally.lateness,
    }
    return {name: histogram for name, histogram in found.items() if histogram.count}


def errors_of(tally: Tally) -> dict[str, int]:
    """Failed requests by kind: no answer at all, or one whose status is not a success."""
    kinds = {kind.value: n for kind, n in sorted(tally.errors.items()) if n}
    return kinds | {f"http_{s}": n for s, n in sorted(tally.statuses.items()) if s // 100 != 2}


def latency_ms(histogram: Histogram) -> dict[str, float]:
    """The figures of a histogram in milliseconds, exact to the microsecond; `FIGURES` are keys."""
    found = histogram.percentiles(*FIGURES.values())
    return {name: us / 1000 for name, us in zip(FIGURES, found, strict=True)}


def _rounded(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 2)


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "threshold": verdict.threshold,
        "measured": verdict.measured,
        "unit": verdict.unit,
        "broken": verdict.broken,
    }
