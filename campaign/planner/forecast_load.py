"""One campaign's messages in a forecast: counted, not named, by what may become of them."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from campaign.planner.lanes import Hours
from campaign.planner.pacing import Bucket
from campaign.planner.workload import Conditions, Demand, Group

Civil = Callable[[float], datetime]
"""Civil time of a moment of the forecast, which counts seconds from its own beginning."""


class Gate:
    """Whether one group may send now, and when that changes; civil time is asked at edges only."""

    def __init__(self, hours: Hours, civil: Civil) -> None:
        self._hours = hours
        self._civil = civil
        self.is_open = not hours.is_bounded
        self.edge = -math.inf if hours.is_bounded else math.inf
        """When it closes, or opens."""

    def look(self, at: float) -> None:
        """Be what it is at `at`."""
        if at < self.edge:
            return
        now = self._civil(at)
        phase = self._hours.phase(now)
        self.is_open = phase.is_open
        until = phase.until
        self.edge = math.inf if until is None else at + (until - now).total_seconds()


@dataclass(frozen=True)
class Taken:
    """Messages taken to be sent: (proved failures so far, group, how many)."""

    lots: tuple[tuple[int, int, int], ...]
    messages: int
    parts: int

    @property
    def first_tries(self) -> int:
        return sum(count for failures, _, count in self.lots if not failures)


class Load:
    """What is left of a campaign: waiting by group and failures, and what waits to be tried again.

    Failures are dealt out evenly, without chance: what a share leaves over is carried on.
    """

    def __init__(self, demand: Demand, conditions: Conditions, civil: Civil) -> None:
        self._groups = demand.groups
        self._conditions = conditions
        self.weight = demand.weight
        self.bucket, self.part_bucket = Bucket(), Bucket()
        self.gap, self.part_gap = demand.gap, demand.part_gap
        gates: dict[Hours, Gate] = {}
        self._gates = [
            gates.setdefault(group.hours, Gate(group.hours, civil)) for group in demand.groups
        ]
        tries = max(1, conditions.attempts)
        self._waiting = [[0] * len(demand.groups) for _ in range(tries)]
        self._waiting[0] = [group.messages for group in demand.groups]
        self._held: list[tuple[float, int, int, int]] = []
        self._part_of_failure = 0.0
        self.left = demand.messages
        """Waiting now or later; what was taken and did not fail is gone."""

    def look(self, at: float) -> None:
        """Let in what is due by then, and see which groups may send."""
        while self._held and self._held[0][0] <= at:
            _, failures, group, count = heapq.heappop(self._held)
            self._waiting[failures][group] += count
        for gate in self._gates:
            gate.look(at)

    @property
    def open_messages(self) -> int:
        """How many may be sent now."""
        return sum(
            count
            for row in self._waiting
            for count, gate in zip(row, self._gates, strict=True)
            if gate.is_open
        )

    def open_for(self, takes: Callable[[Group], bool], *, in_parts: bool = False) -> int:
        """How many messages (or SMS parts) may be sent now by whoever `takes` them."""
        return sum(
            count * (group.parts if in_parts else 1)
            for row in self._waiting
            for count, gate, group in zip(row, self._gates, self._groups, strict=True)
            if gate.is_open and count and takes(group)
        )

    @property
    def open_parts(self) -> int:
        """SMS parts of those."""
        return sum(
            count * group.parts
            for row in self._waiting
            for count, group, gate in zip(row, self._groups, self._gates, strict=True)
            if gate.is_open
        )

    @property
    def edge(self) -> float:
        """When a group that has somebody waiting opens or closes next."""
        return min(
            (gate.edge for i, gate in enumerate(self._gates) if any(r[i] for r in self._waiting)),
            default=math.inf,
        )

    @property
    def due(self) -> float:
        """When the next is to be tried again."""
        return self._held[0][0] if self._held else math.inf

    def tokens(self, start: float, end: float, parts: float) -> float:
        """How many messages of so many parts its own rates let go in that time."""
        return min(
            tokens(self.bucket, self.gap, start, end),
            tokens(self.part_bucket, self.part_gap * parts, start, end),
        )

    def paced_at(self, at: float) -> bool:
        """Whether its own rates, and not the ports, hold it back then."""
        rates = ((self.gap, self.bucket), (self.part_gap, self.part_bucket))
        return any(gap and bucket.next_at >= at for gap, bucket in rates)

    def last_start(self, parts: float) -> float:
        """When the last message taken goes out by its rates: a gap before the next one may."""
        return max(self.bucket.next_at - self.gap, self.part_bucket.next_at - self.part_gap * parts)

    def take(self, messages: int, at: float, takes: Callable[[Group], bool] | None = None) -> Taken:
        """Take so many of those that may go (and that somebody `takes`): failed ones first, then
        groups in proportion."""
        lots: list[tuple[int, int, int]] = []
        want = messages
        for failures in reversed(range(len(self._waiting))):
            row = self._waiting[failures]
            shown = [
                n if gate.is_open and (takes is None or takes(group)) else 0
                for n, gate, group in zip(row, self._gates, self._groups, strict=True)
            ]
            for group, count in enumerate(proportional(min(want, sum(shown)), shown)):
                if count:
                    row[group] -= count
                    want -= count
                    lots.append((failures, group, count))
        parts = sum(self._groups[group].parts * count for _, group, count in lots)
        taken = Taken(tuple(lots), messages - want, parts)
        self.left -= taken.messages
        self._pay(taken, at)
        return taken

    def fail(self, taken: Taken, at: float) -> None:
        """Hold the share of those taken that the network refuses, to be tried again later."""
        for failures, group, count in taken.lots:
            self._part_of_failure += count * self._conditions.failures
            refused = math.floor(self._part_of_failure)
            self._part_of_failure -= refused
            if refused and failures + 1 < len(self._waiting):
                wait = self._conditions.retry_wait * 2**failures
                heapq.heappush(self._held, (at + wait, failures + 1, group, refused))
                self.left += refused

    def thin(self, messages: int) -> None:
        """Drop so many that wait for their first try: they were sent meanwhile."""
        row = self._waiting[0]
        for group, count in enumerate(proportional(min(messages, sum(row)), row)):
            row[group] -= count
            self.left -= count

    def _pay(self, taken: Taken, at: float) -> None:
        if self.gap and taken.messages:
            self.bucket = paid(self.bucket, at, self.gap * taken.messages)
        if self.part_gap and taken.parts:
            self.part_bucket = paid(self.part_bucket, at, self.part_gap * taken.parts)


def tokens(bucket: Bucket, gap: float, start: float, end: float) -> float:
    """How many messages a bucket lets go from `start` to before `end`; infinite without a gap."""
    if not gap:
        return math.inf
    first = max(start, bucket.next_at)
    return max(0, math.ceil((end - first) / gap - 1e-9))


def paid(bucket: Bucket, at: float, seconds: float) -> Bucket:
    """The bucket after evenly spaced messages from `at` on that take so long together."""
    return bucket.take(max(at, bucket.next_at), seconds)


def proportional(total: int, shares: Sequence[int]) -> list[int]:
    """`total` divided in proportion to `shares` (whose sum it does not exceed), all whole."""
    whole = sum(shares)
    if not whole:
        return [0] * len(shares)
    dealt: list[int] = []
    seen = given = 0
    for share in shares:
        seen += share
        upto = total * seen // whole
        dealt.append(upto - given)
        given = upto
    return dealt
