"""One port in a forecast: when it is free, what it has sent, and where its quota ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from campaign.planner.forecast_quotas import SimQuota
from campaign.planner.quotas import Room
from campaign.planner.routing import PortFacts, Shut
from campaign.planner.workload import PlannedSim


@dataclass(frozen=True)
class PortLoad:
    """What falls to one port: `recipients` first tries, `messages` all of them, `segments` their
    SMS parts. `quota_out` is when its SIM's quota runs out first, `quota_until` when it has room
    again, `quota` in words; all None if it never does."""

    gateway: str | None
    port: int
    known: bool
    recipients: int
    messages: int
    segments: int
    quota_out: datetime | None = None
    quota_until: datetime | None = None
    quota: str | None = None


@dataclass
class ForeseenPort:
    """One port on its way through a forecast; times are seconds from its beginning."""

    sim: PlannedSim
    pace: int
    """Which of the three paces it keeps."""
    quota: SimQuota | None = None
    ready: float = 0.0
    recipients: int = 0
    messages: int = 0
    segments: int = 0
    spent_at: float | None = None
    spent: tuple[str, datetime | None] | None = None
    parts: float = 0.0
    """SMS parts in the mean of those it may serve, where that is not everybody."""
    _marked: tuple[int, int, int] = (0, 0, 0)
    is_short: bool = False
    """Whether its quota, not the time, was what let so few go in the last slice."""

    def air(self, parts: float) -> float:
        """Seconds on air of a message of so many parts (a mean)."""
        return self.sim.seconds[self.pace] * parts

    def step(self, parts: float) -> float:
        """Seconds from one such message to the next."""
        return max(self.air(parts), self.sim.gaps[self.pace], self.sim.part_gap * parts)

    def look(self, at: float, end: float, parts: float, now: datetime) -> PortFacts:
        """The port as the planner is to see it: how many messages it can begin before `end`."""
        step = self.step(parts)
        busy = max(0.0, self.ready - at)
        fits = max(0, math.ceil((end - at - busy) / step - 1e-9))
        shut, room = self._limits(at, now, parts)
        queued = math.ceil(busy / step - 1e-9)
        self.is_short = room is not None and room < fits
        return PortFacts(
            self.sim.port, True, queued, queued + fits, 0.0 if fits else self.ready,
            shut=shut, room=room,
        )  # fmt: skip

    def _limits(self, at: float, now: datetime, parts: float) -> tuple[Shut | None, int | None]:
        if self.quota is None:
            return None, None
        found = self.quota.room(now, math.ceil(parts - 1e-9))
        rooms = [int(found.segments / parts + 1e-9)] if found.segments is not None else []
        rooms += [found.recipients] if found.recipients is not None else []
        room = min(rooms, default=None)
        if room is None or room > 0:
            return None, room
        self._spent(min(at, self.ready), found)
        opens = None if found.until is None else at + (found.until - now).total_seconds()
        return Shut(found.why, opens), 0

    def send(self, at: float, messages: int, parts: float, now: datetime, charged: int) -> float:
        """Send so many from `at` on; returns when the last of them has ended."""
        step = self.step(parts)
        self.ready = max(at, self.ready) + messages * step
        if self.quota is not None:
            self.quota.charge(now, charged, messages)
            if self.is_short and self.spent_at is None:
                self._spent(self.ready, self.quota.room(now, math.ceil(parts - 1e-9)))
        return self.ready - step + self.air(parts)

    def mark(self) -> None:
        """Remember what it had sent when a cycle began."""
        self._marked = (self.recipients, self.messages, self.segments)

    def leap(self, at: float, cycles: int) -> None:
        """Go on at `at`, so many cycles later, each of which was as the one since the mark."""
        self.ready = max(self.ready, at)
        recipients, messages, segments = self._marked
        self.recipients += cycles * (self.recipients - recipients)
        self.messages += cycles * (self.messages - messages)
        self.segments += cycles * (self.segments - segments)

    def _spent(self, at: float, room: Room) -> None:
        if self.spent_at is None and room.is_shut:
            self.spent_at, self.spent = at, (room.why, room.until)

    def load(self, civil: Callable[[float], datetime]) -> PortLoad:
        why, until = self.spent or (None, None)
        spent_at = None if self.spent_at is None else civil(self.spent_at)
        return PortLoad(
            self.sim.gateway, self.sim.port, self.sim.known, self.recipients, self.messages,
            self.segments, spent_at, until, why,
        )  # fmt: skip
