"""Before a window closes: what is still given to a port goes on air while it is open.

What is queued on a port starts one after the other, at the pace that was measured there. A lane
that closes soon gets what fits, and goes first, for the others have time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from campaign.planner.routing import Shut, Turn, Wait
from campaign.planner.split import Grant

ASSUMED_SECONDS: Final = 10.0
"""What a message takes on a port whose pace is not measured yet."""

PAUSE_BEFORE: Final = 3.0
"""Seconds before the end of a window at which what still waits on a device is paused there: its
last moment for a message to start."""

TOO_SHORT = "cannot send any more before the window closes"
TOO_LATE = "cannot send any more before the deadline"


@dataclass(frozen=True, slots=True)
class PortPace:
    """How many messages wait on a port already, and what one takes there, in seconds."""

    outstanding: int
    seconds: float

    def fits(self, left: float | None, most: int) -> int:
        """How many more messages start within `left` seconds, of `most` (None: there is no end)."""
        if left is None:
            return most
        if left < 0:
            return 0
        return max(0, min(most, int(left / self.seconds) - self.outstanding + 1))


def pace_of(measured: float | None, gap: float, outstanding: int) -> PortPace:
    """`gap` is the least time the operator's limits leave between two messages there."""
    seconds = ASSUMED_SECONDS + gap if measured is None else max(measured, gap)
    return PortPace(outstanding, max(seconds, 0.001))


@dataclass(frozen=True, slots=True)
class End:
    """The end of an open lane: how many seconds are left for a message to start, when it is over
    on the monotonic clock, and whether that is the deadline, not a window that opens again."""

    left: float
    at: float
    is_deadline: bool = False

    @property
    def shut(self) -> Shut:
        """What is told of a lane where nothing fits in any more."""
        return Shut(TOO_LATE if self.is_deadline else TOO_SHORT, self.at)


def last_end(ends: Iterable[End | None]) -> Shut:
    """What is told where nothing fits into any of these lanes: until the last of them is over."""
    known = [end for end in ends if end is not None]
    return max(known, key=lambda end: end.at).shut if known else Shut(TOO_SHORT)


def before_close(turn: Turn, paces: Mapping[int, PortPace], ends: Mapping[int, End | None]) -> Turn:
    """A turn's grants cut down to what starts in time.

    `ends` are those of the open lanes (None: no end).
    """
    left = {lane: None if end is None else end.left for lane, end in ends.items()}
    if all(seconds is None for seconds in left.values()):
        return turn
    cut: list[Grant] = []
    waits = list(turn.waits)
    for grant in turn.grants:
        kept = _cut(grant, paces[grant.port], left)
        if kept is None:
            over = last_end(end for lane, end in ends.items() if grant.takes(lane))
            waits.append(Wait(grant.port, over.why, over.until))
        else:
            cut.append(kept)
    return replace(turn, grants=tuple(cut), waits=tuple(waits))


def _cut(grant: Grant, pace: PortPace, left: Mapping[int, float | None]) -> Grant | None:
    fits = {
        lane: pace.fits(seconds, grant.count) for lane, seconds in left.items() if grant.takes(lane)
    }
    lanes = [lane for lane, count in fits.items() if count > 0]
    if not lanes:
        return None
    pressed = [lane for lane in lanes if fits[lane] < grant.count]
    if pressed:
        first = min(pressed, key=lambda lane: (left[lane] or 0.0, lane))
        return replace(grant, count=fits[first], lanes=frozenset({first}))
    return grant if len(lanes) == len(fits) else replace(grant, lanes=frozenset(lanes))
