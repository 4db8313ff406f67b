"""Pacing: evenly spaced sending, and how much may be queued on a port."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

FIRST_WINDOW = 10
"""Messages queued on a port of unknown pace: about a minute at the six seconds a SIM needs."""

_GROWTH = 4
_LEAST = 2
"""Messages given to a port of known pace, however slow, unless it is full or limited."""


@dataclass(frozen=True)
class Bucket:
    """A token bucket of depth one; `next_at` is on the monotonic clock.

    A strict one never lets two messages closer than the gap (what one SIM does). Otherwise lateness
    below one gap is made up, for jitter must not lower a campaign's rate; more never is: slow
    waiting does not turn into a burst.
    """

    next_at: float = 0.0

    def ready(self, now: float) -> bool:
        return now >= self.next_at

    def take(
        self, now: float, gap: float, *, strict: bool = False, spare: float | None = None
    ) -> Bucket:
        """The bucket after one message at `now`, with `gap` seconds to the next.

        `spare` bounds the lateness that is made up where one gap would be too much: that of a
        message of many segments is longer than the segment rate's own.
        """
        late = now - self.next_at
        start = (
            self.next_at if not strict and 0 <= late < (gap if spare is None else spare) else now
        )
        return Bucket(start + gap)

    def given_back(self, seconds: float) -> Bucket:
        """The bucket once it turned out that a message cost so much less than was taken for it;
        what others took meanwhile stays taken."""
        return Bucket(self.next_at - seconds)

    def relaxed(self, now: float, gap: float) -> Bucket:
        """The bucket under another rate: nobody waits longer than that rate's own gap."""
        return Bucket(min(self.next_at, now + gap))


class PortWindow(NamedTuple):
    """How many messages may be outstanding on one port, from its measured pace.

    Grows at most fourfold per measurement: the first figures are drowned in report delay.
    """

    size: int = FIRST_WINDOW
    queued: int = 0
    busy_since: float | None = None
    done: int = 0
    seconds: float | None = None
    """What one message took when it was last measured."""

    @classmethod
    def of_earlier_run(cls, held: int) -> PortWindow:
        """The window of a port that an earlier run had given `held` messages at once.

        That run had measured its pace: what it gave the port may be given again, and no more.
        """
        return cls(size=max(FIRST_WINDOW, held))

    def holding(self, queued: int, now: float) -> PortWindow:
        """The window with what the ledger says is in flight there."""
        if not queued:
            return PortWindow(size=self.size, seconds=self.seconds)
        if queued == self.queued and self.busy_since is not None:
            return self
        busy_since = now if self.busy_since is None else self.busy_since
        return PortWindow(self.size, queued, busy_since, self.done, self.seconds)

    def finished(self, count: int, now: float, port_window: float, limit: int) -> PortWindow:
        """`count` more messages are final.

        Measured once half the window was worked off, or the port ran dry.
        """
        if self.busy_since is None:
            return self
        done, left = self.done + count, max(0, self.queued - count)
        elapsed = now - self.busy_since
        if elapsed <= 0 or (left and done < self.size / 2):
            return PortWindow(self.size, left, self.busy_since, done, self.seconds)
        wanted = min(done / elapsed * port_window, self.size * _GROWTH)
        # one waits while one is on air: a slow port would stand idle from report to post
        size = max(1, min(max(_LEAST, math.ceil(wanted)), limit))
        return PortWindow(
            size=size, queued=left, busy_since=now if left else None, seconds=elapsed / done
        )

    def halved(self) -> PortWindow:
        """After back-pressure (codes 10 and 16)."""
        return PortWindow(size=max(1, self.size // 2), seconds=self.seconds)
