"""Appointments: a campaign starts when its time has come, and ends when its time is over.

Both are civil times: they are compared with the civil clock each time somebody looks, and waited
for by the monotonic one, a little at a time, for the civil clock may be set meanwhile.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from campaign.engine.campaign import Campaign
from campaign.engine.runtime import Run
from campaign.planner.states import CampaignState
from campaign.store.expiry import begin_campaign, expire_some

MISSED: timedelta = timedelta(minutes=5)
"""A start that comes later than this was missed: nothing ran at its time."""

_LOOK = 30.0
"""Seconds: so much later than its time an appointment is kept, should the clock be set."""


def announce(run: Run, campaign: Campaign) -> None:
    """Say when a campaign that was just imported begins, if that is not now."""
    if campaign.state is CampaignState.SCHEDULED and campaign.start is not None:
        run.notice(f"campaign {campaign.name} starts at {campaign.start:%Y-%m-%d %H:%M:%S} UTC")


async def keep_appointments(run: Run, campaign: Campaign) -> float | None:
    """Start a campaign, or end what is left of it, if it is time; returns when to look again on the
    monotonic clock (now: there is more to do first), None if it has no further appointment."""
    wall = run.env.wall()
    ahead: list[datetime] = []
    if campaign.state is CampaignState.SCHEDULED and campaign.start is not None:
        if wall < campaign.start:
            ahead.append(campaign.start)
        else:
            if await _begin(run, campaign, wall - campaign.start):
                return run.env.monotonic()
    if campaign.is_over(wall):
        if await _expire(run, campaign, "the campaign's deadline is over"):
            return run.env.monotonic()
    elif campaign.deadline is not None:
        ahead.append(campaign.deadline)
    if not ahead:
        return None
    return run.env.monotonic() + min(_LOOK, (min(ahead) - wall).total_seconds())


async def _begin(run: Run, campaign: Campaign, late: timedelta) -> bool:
    """Start it, or skip it if that is too late; True while it may have more to expire."""
    if late > MISSED and campaign.options.late == "skip":
        return await _expire(run, campaign, "nothing ran at its start, and --late is skip")
    why = f"{round(late.total_seconds())} s after its start" if late > MISSED else "its start"
    if not await run.write(begin_campaign, run.now_ms(), campaign.id, why):
        return False  # somebody paused or ended it meanwhile, and that is carried out now
    campaign.state = CampaignState.RUNNING
    run.notice(f"campaign {campaign.name} starts")
    run.ring()
    return False


async def _expire(run: Run, campaign: Campaign, why: str) -> bool:
    """Whoever still waits is not sent to any more; what is on devices is taken back elsewhere.

    One batch a look: other campaigns have their appointments, too. False once nobody waits.
    """
    campaign.ending = why
    return await run.write(expire_some, run.now_ms(), campaign.id, why) > 0
