"""Which request is due: the schedule seen from the side of those who send.

A schedule is read twice. One reader is moved on by the clock and counts what has become due, the
other by free connections that take what is due. What is between the two waits, and is no list: a
target that hangs for an hour costs no memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

Schedule = Callable[[], Iterator[float]]


@dataclass
class OpenArrivals:
    """The open model: what is due was fixed in advance, however the target does.

    `schedule` begins anew at each call and says seconds after `start`. Nothing is handed out after
    `until`: what has not been taken by then is dropped.
    """

    schedule: Schedule
    start: float
    until: float
    due: int = 0
    taken: int = 0

    def __post_init__(self) -> None:
        self._to_take = self.schedule()
        self._to_count = self.schedule()
        self._next = self._after(self._to_take)
        self._uncounted = self._after(self._to_count)

    def _after(self, times: Iterator[float]) -> float | None:
        seconds = next(times, None)
        return None if seconds is None else self.start + seconds

    def next_at(self) -> float | None:
        """When the next one is intended that nobody has taken; None when there is none."""
        return self._next

    def take(self, now: float) -> float | None:
        """The intended time of the next one, if it is due; it is taken then."""
        at = self._next
        if at is None or at > now or now > self.until:
            return None
        self._next = self._after(self._to_take)
        self.taken += 1
        return at

    def over(self, now: float) -> bool:
        """Whether nothing will be handed out any more."""
        return self._next is None or now > self.until

    def pass_to(self, now: float) -> None:
        """Count what has become due until now."""
        while self._uncounted is not None and self._uncounted <= now:
            self.due += 1
            self._uncounted = self._after(self._to_count)


@dataclass
class ClosedArrivals:
    """The closed model: whoever is free sends the next one at once, until the time is over.

    It says what a number of clients get that wait for each other; its latencies hide every stall.
    """

    until: float
    most: int | None = None
    taken: int = 0

    @property
    def due(self) -> int:
        return self.taken

    def next_at(self) -> float | None:
        return None

    def take(self, now: float) -> float | None:
        if self.over(now):
            return None
        self.taken += 1
        return now

    def over(self, now: float) -> bool:
        return now >= self.until or self.taken == self.most

    def pass_to(self, now: float) -> None:
        """Nothing becomes due by itself."""


Arrivals = OpenArrivals | ClosedArrivals
