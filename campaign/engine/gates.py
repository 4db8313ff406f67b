"""Gates: whether a campaign may send anything at all now, whatever its gateways could do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from campaign.engine.campaign import Campaign
from campaign.engine.runtime import Run
from campaign.planner.closing import PAUSE_BEFORE, End, last_end
from campaign.planner.lanes import Hours
from campaign.planner.routing import Shut
from campaign.planner.settings import Settings
from campaign.planner.states import CampaignState
from campaign.planner.windows import Window
from campaign.store.lanes import waiting_in, waiting_lanes

_COUNTED = 1000
"""Waiting recipients of a closed lane are counted no further."""


def shut(run: Run, campaign: Campaign) -> Shut | None:
    """Why nothing of a campaign may be claimed now, and until when; None if it may send."""
    if campaign.awaits_test:
        return Shut(f"the test {campaign.name}.test is under way")
    wall = run.env.wall()
    if campaign.is_over(wall):
        return Shut("its deadline is over")
    if campaign.start is not None and wall < campaign.start:
        return Shut(f"it starts at {_shown(campaign.start)}", _at(run, wall, campaign.start))
    if campaign.state is CampaignState.SCHEDULED:
        return Shut("it starts now")  # as soon as that is written down
    picture = campaign.picture(wall)
    if picture.open or len(campaign.hours) > 1:
        return None  # which of several lanes matters is told by those who wait: `open_lanes`
    return _opening(run, campaign, picture.closed, wall)


async def open_lanes(
    run: Run, campaign: Campaign, settings: Settings
) -> dict[int, datetime | None] | Shut:
    """The lanes that may be claimed from now, with the moment each closes; else why not.

    Lanes in which nobody waits are left out where there are several. Shortly before a window closes
    nothing more is claimed: the answer to the post may take as long as the device is waited for.
    """
    wall = run.env.wall()
    picture = campaign.picture(wall)
    last = wall + timedelta(seconds=settings.client_timeout + PAUSE_BEFORE)
    lanes = dict(picture.open_beyond(last))
    if len(campaign.hours) > 1:
        waiting = await run.store.read(waiting_lanes, campaign.id)
        lanes = {lane: lanes[lane] for lane in waiting if lane in lanes}
        if not lanes:
            closed = {n: picture.closed[n] for n in waiting if n in picture.closed}
            if not closed:
                return _too_short(run, campaign, {n: picture.open.get(n) for n in waiting})
            return await _closed_lanes(run, campaign, closed, wall)
    if not lanes:
        return _too_short(run, campaign, picture.open)
    return lanes


def ends_of(
    run: Run, campaign: Campaign, closes: Mapping[int, datetime | None]
) -> dict[int, End | None]:
    """The ends of these open lanes, of each of which it is known when it closes (None: never)."""
    wall, now = run.env.wall(), run.env.monotonic()
    ends: dict[int, End | None] = {}
    for lane, at in closes.items():
        if at is None:
            ends[lane] = None
        else:
            left = (at - wall).total_seconds()
            ends[lane] = End(left - PAUSE_BEFORE, now + left, at == campaign.deadline)
    return ends


def closed_lane(run: Run, campaign: Campaign, lane: int) -> Shut:
    """Why nothing more of a lane may start now, and until when."""
    wall = run.env.wall()
    picture = campaign.picture(wall)
    if lane in picture.closed:
        return _opening(run, campaign, {lane: picture.closed[lane]}, wall)
    return _too_short(run, campaign, {lane: picture.open.get(lane)})


def _too_short(run: Run, campaign: Campaign, closes: Mapping[int, datetime | None]) -> Shut:
    """The lanes that are open, if any, close too soon; whatever opens then rings."""
    return last_end(ends_of(run, campaign, closes).values())


async def _closed_lanes(
    run: Run, campaign: Campaign, closed: dict[int, datetime | None], wall: datetime
) -> Shut:
    """All who wait are in lanes that are closed."""
    first = _first(closed)
    if first is None:
        return Shut("no window opens any more")
    count = await run.store.read(waiting_in, campaign.id, first, _COUNTED)
    many = f"{count} recipients" if count < _COUNTED else f"{count} recipients or more"
    told = _opening(run, campaign, closed, wall)
    return Shut(f"{told.why} ({'1 recipient' if count == 1 else many})", told.until)


def _first(closed: Mapping[int, datetime | None]) -> int | None:
    """The lane that opens first."""
    times = [(opens, lane) for lane, opens in closed.items() if opens is not None]
    return min(times)[1] if times else None


def _opening(
    run: Run, campaign: Campaign, closed: Mapping[int, datetime | None], wall: datetime
) -> Shut:
    first = _first(closed)
    opens = None if first is None else closed[first]
    if first is None or opens is None:
        return Shut("no window opens any more")
    where = _clock(campaign.hours[first], opens)
    return Shut(f"the sending window opens at {where}", _at(run, wall, opens))


def _clock(hours: Hours, opens: datetime) -> str:
    """A moment by the clocks of the windows that open then."""
    windows: tuple[Window, ...] = hours.windows
    if not windows:
        return _shown(opens)
    words = f"{opens.astimezone(windows[0].zone):%Y-%m-%d %H:%M} in {windows[0].zone}"
    more = len(windows) - 1
    return words if not more else f"{words} and {more} more zone{'s' * (more > 1)}"


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _at(run: Run, wall: datetime, moment: datetime) -> float:
    """When a civil moment comes on the monotonic clock, if no clock is set meanwhile."""
    return run.env.monotonic() + (moment - wall).total_seconds()
