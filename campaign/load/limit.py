"""Finding a target's limit with real loads: what one of them says of its rate, one after another.

Every rate is a load of its own: a while to settle, a while that counts, then what still waits is
taken back, so that no rate pays for the one before. How fast a queue grows is the slope of a
straight line through the depths of the seconds that count: its ends alone would be noise.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from campaign.load.histogram import Histogram
from campaign.load.knee import Bounds, Cause, Found, Point, Search, Step, Try, curve, next_rate
from campaign.load.outcome import Moment, Outcome

_LEAST_DEPTHS: Final = 3
_NEARLY_ALL: Final = 0.99


@dataclass(frozen=True)
class Limit:
    """What a search came to. `found` is of its last state, `why` it ended early, if it did.

    Rates are requests a second; each request of them has `messages` messages on average.
    """

    target: str
    workload: str
    search: Search
    found: Found
    points: tuple[Point, ...]
    steps: int
    messages: float
    seconds: float
    why: str | None = None

    def summary(self) -> dict[str, Any]:
        """The JSON object; shares are from 0 to 1."""
        found, bounds = self.found, self.search.bounds
        return {
            "target": self.target,
            "workload": self.workload,
            "limit_per_second": found.rate,
            "messages_per_second": round(found.rate * self.messages, 3),
            "ceiling_per_second": found.ceiling,
            "cause": None if found.cause is None else found.cause.value,
            "exact": found.exact and found.cause is not Cause.GENERATOR,
            "valid": found.cause is not Cause.GENERATOR,
            "ended_early": self.why,
            "precision": self.search.precision,
            "steps": self.steps,
            "seconds": round(self.seconds, 1),
            "bounds": {
                "accept_p99_ms": _ms(bounds.accept_p99),
                "report_p95_ms": _ms(bounds.report_delay),
                "queue_growth": bounds.queue_growth,
                "errors": bounds.errors,
            },
            "curve": [
                {**step_summary(point.step, bounds), "looks": point.looks} for point in self.points
            ],
        }


def step_summary(step: Step, bounds: Bounds) -> dict[str, Any]:
    """One rate that was tried; `cause` is what comes nearest to its bound, or is beyond it."""
    strain = bounds.strain_of(step)
    return {
        "rate": step.rate,
        "bounded": strain.is_bounded,
        "cause": strain.cause.value,
        "accept_p99_ms": _ms(step.accept_p99),
        "report_p95_ms": _ms(step.report_delay),
        "queue_growth": None if step.queue_growth is None else round(step.queue_growth, 4),
        "errors": round(step.errors, 5),
        "valid": step.valid,
    }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)


async def find_limit(
    search: Search,
    attempt: Callable[[Try], Awaitable[Outcome | None]],
    tasks: float,
    *,
    on_step: Callable[[Step, Found | Try], None] = lambda _step, _next: None,
) -> tuple[list[Step], Found]:
    """Load the target at one rate after the other; `attempt` runs one, None ends the search.

    A request has `tasks` tasks on average. `on_step` gets each step with what follows. Returns the
    steps in their order, and what they prove.
    """
    history: list[Step] = []
    wanted = next_rate(history, search)
    while isinstance(wanted, Try):
        outcome = await attempt(wanted)
        if outcome is None:
            return history, _so_far(history, search)
        history.append(step_of(outcome, wanted, tasks))
        wanted = next_rate(history, search)
        on_step(history[-1], wanted)
    return history, wanted


def _so_far(history: Sequence[Step], search: Search) -> Found:
    """What the steps prove, were there to be no more of them."""
    points = curve(history, search.bounds)
    bounded = [point.rate for point in points if point.strain.is_bounded]
    rate = max(bounded, default=0.0)
    above = [point for point in points if point.rate > rate]
    cause = above[0].strain.cause if above else None
    return Found(rate, above[0].rate if above else None, cause, exact=False)


def step_of(outcome: Outcome, wanted: Try, tasks: float) -> Step:
    """What a load at this rate did in the seconds that count; a request has `tasks` tasks."""
    begin, end = wanted.settle, wanted.settle + wanted.measure
    counted = [moment for moment in outcome.series if begin <= moment.nth and moment.nth + 1 <= end]
    due = sum(moment.due for moment in counted)
    taken = sum(moment.taken for moment in counted)
    lost = sum(moment.failed + moment.dropped for moment in counted)
    offered = outcome.account.get("offered", 0)
    refused = outcome.account.get("refused", 0) / max(1, offered)
    return Step(
        rate=wanted.rate,
        accept_p99=_percentile(counted, "accept", 99),
        report_delay=_percentile(counted, "report", 95),
        queue_growth=_growth(outcome, begin, end, wanted.rate * tasks),
        errors=lost / max(1, due) + refused + _bad_answers(outcome),
        valid=not outcome.invalid,
        complete=taken + 1 >= _NEARLY_ALL * due and not outcome.tally.dropped,
    )


def _percentile(moments: Sequence[Moment], clock: str, percent: float) -> float | None:
    merged = Histogram()
    for moment in moments:
        if clock in moment.clocks:
            merged.merge(moment.clocks[clock].histogram())
    return merged.percentile(percent) / 1e6 if merged.count else None


def _bad_answers(outcome: Outcome) -> float:
    """The share of answers that are no success of HTTP: they are errors, however quick."""
    bad = sum(n for status, n in outcome.tally.statuses.items() if status // 100 != 2)
    return bad / max(1, outcome.tally.taken)


def _growth(outcome: Outcome, begin: float, end: float, tasks: float) -> float | None:
    """Tasks the queue grew by each second, as a share of the `tasks` that came in it; not below
    nothing."""
    depths = [(at, depth) for at, depth in outcome.queue if begin <= at <= end]
    if len(depths) < _LEAST_DEPTHS or not tasks:
        return None
    middle = sum(at for at, _ in depths) / len(depths)
    spread = sum((at - middle) ** 2 for at, _ in depths)
    slope = sum((at - middle) * depth for at, depth in depths) / spread if spread else 0.0
    return max(0.0, slope / tasks)
