"""Whole runs, made up second by second: what a real one would hand to files and reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random

from campaign.env import seeded
from campaign.load.histogram import Histogram
from campaign.load.outcome import Facts, Moment, Outcome, errors_of
from campaign.load.tally import Second, Tally
from campaign.load.wire import ErrorKind

FACTS = Facts(
    target="http://127.0.0.1:8080 (simulator)",
    shape="500/s for 30s",
    workload="1 task a request, 1 recipient a task, 40 characters",
    scheduled=30.0,
    planned=15_000,
    connections=64,
    workers=2,
    seed=7,
    started_ms=1_772_442_000_000,
    version="0.5.0",
)

# Of a second and a draw: how many milliseconds a request took in it.
Latency = Callable[[int, Random], float]


def steady(ms: float = 4.0) -> Latency:
    return lambda _, rng: ms * rng.lognormvariate(0.0, 0.35)


def made(
    *,
    seconds: int = 30,
    rate: int = 500,
    latency: Latency | None = None,
    seed: int = 7,
    errors: Mapping[ErrorKind, int] | None = None,
    report_ms: float | None = 900.0,
    queue: Sequence[tuple[int, int]] | None = None,
    planned: int | None = -1,
) -> Outcome:
    """A run at a constant rate; `planned=None` is the closed model."""
    rng = seeded(seed)
    total, reports = Tally(), Histogram()
    series = []
    for nth in range(seconds):
        tally, seen = _second(rate, nth, latency or steady(), rng), Histogram()
        if nth == seconds // 2:
            tally.errors.update(errors or {})
            tally.answered -= tally.failed
        if report_ms is not None:
            seen.record_many([round(report_ms * 1000 * rng.uniform(0.5, 2)) for _ in range(rate)])
        total.add(tally)
        reports.merge(seen)
        series.append(Moment.of(Second(nth, tally, in_flight=3), {"report": seen}))
    offered = seconds * rate if planned == -1 else planned
    return Outcome(
        replace(FACTS, scheduled=float(seconds), planned=offered, seed=seed),
        seconds + 0.04,
        total,
        errors_of(total),
        {"report": reports} if reports.count else {},
        {"accepted": total.answered, "reported": total.answered - 3, "unreported": 3},
        [(nth, 20 + nth % 7) for nth in range(seconds)] if queue is None else queue,
        series,
    )


def _second(rate: int, nth: int, latency: Latency, rng: Random) -> Tally:
    tally = Tally(due=rate, taken=rate, answered=rate, bytes_out=300 * rate, cpu_seconds=0.03)
    tally.statuses[200] = rate
    for _ in range(rate):
        service = latency(nth, rng)
        wait = 0.3 * rng.random()
        tally.service.record(round(service * 1000))
        tally.lateness.record(round(wait * 1000))
        tally.accept.record(round((service + wait) * 1000))
    return tally
