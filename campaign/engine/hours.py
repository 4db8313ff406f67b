"""Hours: what is queued on a device stops there before its window closes, to the second.

One task per gateway waits for the next lane that opens or closes. Some seconds before a window
ends what waits of it is paused on the device, so that no message starts later; when it opens again
that goes on. Civil time decides, the monotonic clock only waits: while something is queued the
civil clock is looked at every second, for it may be set, and this machine may have slept.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from campaign.engine.campaign import Campaign, ledger_time
from campaign.engine.device import Gateway
from campaign.engine.gates import ends_of
from campaign.engine.runtime import Run
from campaign.engine.steer import steer_gateway
from campaign.planner.closing import PAUSE_BEFORE, before_close, pace_of
from campaign.planner.routing import Turn
from campaign.store.claims import ClaimedTask

_LOOK, _LOOK_IDLE, _LOOK_CLOSED = 1.0, 10.0, 60.0
"""Seconds between two looks at the civil clock, which may be set: with something queued, without,
and while every lane is closed."""


async def keep_hours(run: Run, gateway: Gateway) -> None:
    """Pause, resume and take back what this gateway holds as windows close and open."""
    known: dict[int, Collection[object]] = {}
    while True:
        mark = run.planned.mark()
        bounded = [campaign for campaign in run.campaigns.values() if campaign.is_bounded]
        wait = min((_until_next(run, campaign) for campaign in bounded), default=None)
        for campaign in bounded:
            going = _going(run, campaign)
            if known.get(campaign.id) == going:
                continue
            if await steer_gateway(run, gateway, campaign):
                known[campaign.id] = going
            else:
                wait = _LOOK
            gateway.bell.ring()  # lanes that opened may be claimed from
        if wait is not None:
            wait = run.env.monotonic() + min(wait, _look_every(run, gateway, bounded))
        await run.planned.wait(mark, wait)


def _look_every(run: Run, gateway: Gateway, bounded: Sequence[Campaign]) -> float:
    wall = run.env.wall()
    if not any(campaign.picture(wall).open for campaign in bounded):
        return _LOOK_CLOSED  # what is queued is paused
    queued = any(port.window.queued for port in gateway.ports.values())
    return _LOOK if queued else _LOOK_IDLE


def _going(run: Run, campaign: Campaign) -> tuple[bool, frozenset[int]]:
    """Whether its time is over, and the lanes of which something may start now."""
    wall = run.env.wall()
    last = wall + timedelta(seconds=PAUSE_BEFORE)
    return campaign.is_over(wall), frozenset(campaign.picture(wall).open_beyond(last))


def _until_next(run: Run, campaign: Campaign) -> float:
    """Seconds until one of its lanes opens, closes or is about to close."""
    wall = run.env.wall()
    until = campaign.picture(wall).until
    left = _LOOK_CLOSED if until is None else (until - wall).total_seconds()
    return max(0.001, left - PAUSE_BEFORE if left > PAUSE_BEFORE else left)


def within_hours(
    run: Run,
    gateway: Gateway,
    campaign: Campaign,
    turn: Turn,
    lanes: Mapping[int, datetime | None],
) -> Turn:
    """A turn's grants cut down to what starts before the windows of these open lanes close."""
    if all(closes is None for closes in lanes.values()):
        return turn
    options = campaign.options
    interval, per_port = options.parsed_interval, options.parsed_per_port
    gap = max(interval.high if interval else 0.0, per_port.gap if per_port else 0.0)
    paces = {
        port.number: pace_of(port.window.seconds, gap, port.window.queued)
        for port in gateway.ports.values()
    }
    return before_close(turn, paces, ends_of(run, campaign, lanes))


def closing_times(lanes: Mapping[int, datetime | None]) -> dict[int, int]:
    """When each lane closes, as the ledger stores it; those open for good are left out."""
    times = {lane: ledger_time(closes) for lane, closes in lanes.items()}
    return {lane: at for lane, at in times.items() if at is not None}


def sending_now(run: Run) -> tuple[list[int], list[tuple[int, int]]]:
    """Target campaigns that may send now, and (campaign, lane) of the lanes of theirs that may
    not."""
    wall = run.env.wall()
    sending: list[int] = []
    closed: list[tuple[int, int]] = []
    for campaign_id in run.targets:
        campaign = run.campaigns[campaign_id]
        if campaign.is_halted(wall):
            continue
        sending.append(campaign_id)
        if campaign.is_bounded:
            closed += [
                (campaign_id, lane) for lane in campaign.hours if not campaign.may_go_on(lane, wall)
            ]
    return sending, closed


def still_open(run: Run, claimed: Sequence[ClaimedTask]) -> bool:
    """Before the first byte: whether the windows they were claimed in are still open. The clock
    may have been set, or this machine have slept, since their intent was committed."""
    wall = run.env.wall()
    for campaign_id, lane in {(task.campaign_id, task.lane) for task in claimed}:
        campaign = run.campaigns.get(campaign_id)
        if campaign is not None and lane not in campaign.picture(wall).open:
            return False
    return True


def goes_on(run: Run, campaign: Campaign, claimed: Sequence[ClaimedTask]) -> bool:
    """After the answer: whether what was just posted of a campaign may start by now."""
    wall = run.env.wall()
    lanes = {task.lane for task in claimed if task.campaign_id == campaign.id}
    return all(campaign.may_go_on(lane, wall) for lane in lanes)


def answered_in_time(run: Run, gateway: Gateway, campaign: Campaign, lane: int) -> bool:
    """Whether a post that begins now is answered, or given up, before the lane's window closes."""
    wait = run.settings(gateway, campaign.id).client_timeout
    last = run.env.wall() + timedelta(seconds=wait + PAUSE_BEFORE)
    return lane in campaign.picture(run.env.wall()).open_beyond(last)
