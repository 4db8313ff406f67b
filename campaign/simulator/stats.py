"""The device's own SMS ledger: per port and slot, by the minute for a day, and in all (spec §9)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

LAST_HOUR, LAST_TWO_HOURS, TODAY, ALL_TIME = range(4)


@dataclass(slots=True)
class Tally:
    received: int = 0
    sent_ok: int = 0
    sent_failed: int = 0

    def add(self, other: Tally) -> None:
        self.received += other.received
        self.sent_ok += other.sent_ok
        self.sent_failed += other.sent_failed


@dataclass(slots=True)
class SimStats:
    """What one SIM sent and received. `failed_in_a_row` falls to 0 with each success."""

    total: Tally = field(default_factory=Tally)
    failed_in_a_row: int = 0
    _minutes: deque[tuple[int, Tally]] = field(default_factory=lambda: deque(maxlen=1440))

    def count_sent(self, now: datetime, *, ok: bool) -> None:
        one = Tally(sent_ok=int(ok), sent_failed=int(not ok))
        self.failed_in_a_row = 0 if ok else self.failed_in_a_row + 1
        self._count(now, one)

    def count_received(self, now: datetime) -> None:
        self._count(now, Tally(received=1))

    def over(self, period: int, now: datetime) -> Tally:
        """The tally of `type` 0 to 3; days and minutes are the device's (UTC)."""
        if period == ALL_TIME:
            return self.total
        minute = int(now.timestamp()) // 60
        oldest = {
            LAST_HOUR: minute - 59,
            LAST_TWO_HOURS: minute - 119,
            TODAY: minute - minute % 1440,
        }.get(period, minute - 59)
        chosen = Tally()
        for at, tally in reversed(self._minutes):
            if at < oldest:
                break
            chosen.add(tally)
        return chosen

    def _count(self, now: datetime, one: Tally) -> None:
        self.total.add(one)
        minute = int(now.timestamp()) // 60
        if not self._minutes or self._minutes[-1][0] != minute:
            self._minutes.append((minute, Tally()))
        self._minutes[-1][1].add(one)
