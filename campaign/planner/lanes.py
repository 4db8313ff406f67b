"""Lanes: recipients of one campaign that may be sent to at the same times and places.

A lane's hours are the campaign's window by the clocks of its zones, between the campaign's start
and its deadline. Where a number may belong to several zones, the window must be open in all of
them; where a lane names none, the campaign's own zone counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from campaign.planner.windows import Window, zone_named

_WEEK: Final = timedelta(days=8)
_FAR: Final = datetime.max.replace(tzinfo=UTC)
_SEARCHES: Final = 400
"""Openings looked at before several windows are taken for never open together."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane of a campaign. `zones` are IANA names, comma separated, `route` the rule that says
    where its recipients may go, `sim` the SIM they are to stay with; empty: the campaign's own
    zone, anywhere, any."""

    number: int
    zones: str = ""
    route: str = ""
    sim: str = ""

    @property
    def zone_names(self) -> tuple[str, ...]:
        return tuple(self.zones.split(",")) if self.zones else ()


@dataclass(frozen=True, slots=True)
class Phase:
    """Whether a lane may be sent to from `since` until just before `until` (None: for good)."""

    is_open: bool
    since: datetime
    until: datetime | None

    def holds(self, now: datetime) -> bool:
        return self.since <= now and (self.until is None or now < self.until)


@dataclass(frozen=True, slots=True)
class Hours:
    """When a lane may be sent to: while every window is open (none: always), from `start` until
    just before `deadline`."""

    windows: tuple[Window, ...] = ()
    start: datetime | None = None
    deadline: datetime | None = None

    @property
    def is_bounded(self) -> bool:
        return bool(self.windows) or self.start is not None or self.deadline is not None

    def phase(self, now: datetime) -> Phase:
        """What holds at `now` (aware), and until when."""
        if self.deadline is not None and now >= self.deadline:
            return Phase(False, now, None)
        if self.start is not None and now < self.start:
            return Phase(False, now, self.next_open(self.start))
        opens = self._next_open(now)
        if opens is None or opens > now:
            return Phase(False, now, opens)
        return Phase(True, now, self._closes(now))

    def next_open(self, now: datetime) -> datetime | None:
        """`now` while it is open, else when it opens next (aware UTC); None: never again."""
        return self._next_open(now if self.start is None else max(now, self.start))

    def _next_open(self, now: datetime) -> datetime | None:
        opens = together_open(self.windows, now)
        return None if opens is None or (self.deadline and opens >= self.deadline) else opens

    def _closes(self, now: datetime) -> datetime | None:
        times = [window.closes_at(now) for window in self.windows]
        found = [at for at in (*times, self.deadline) if at is not None]
        return min(found, default=None)


def together_open(windows: Sequence[Window], now: datetime) -> datetime | None:
    """`now` while all windows are open, else when they are next (aware UTC); None: not within
    hundreds of openings."""
    moment = now.astimezone(UTC)
    for _ in range(_SEARCHES):
        opens = max((window.next_open(moment) for window in windows), default=moment)
        if opens == moment:
            return moment
        moment = opens
    return None


def have_hours_together(windows: Sequence[Window], now: datetime) -> bool:
    """Whether there is any time within a week from `now` when all windows are open."""
    opens = together_open(windows, now)
    return opens is not None and opens - now < _WEEK


def hours_of(
    window: Window | None, lane: Lane, start: datetime | None, deadline: datetime | None
) -> Hours:
    """When a lane of a campaign with this window may be sent to."""
    if window is None or window.is_always_open:
        return Hours((), start, deadline)
    zones = lane.zone_names
    windows = tuple(window.in_zone(zone_named(name)) for name in zones) if zones else (window,)
    return Hours(windows, start, deadline)
