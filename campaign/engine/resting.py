"""Resting: why what is queued of a campaign on a device does not go on, and until when."""

from __future__ import annotations

from campaign.engine.campaign import Campaign
from campaign.engine.gates import closed_lane
from campaign.engine.preempting import IN_THE_WAY, Load
from campaign.engine.runtime import Run
from campaign.planner.routing import Shut, Turn, Wait, Waiting
from campaign.planner.states import TaskState


def resting(run: Run, campaign: Campaign, load: Load) -> Waiting | None:
    """What a campaign with nobody left to claim waits for on the ports that hold something of it;
    None where nothing of it rests."""
    if campaign.id not in load.resting:
        return None
    found: dict[int, Shut] = {}
    going: set[int] = set()
    for row in load.queue:
        if row.campaign_id != campaign.id or not row.messages:
            continue
        if row.state is TaskState.PAUSED:
            found.setdefault(row.port, _why(run, campaign, row.lane))
        else:
            going.add(row.port)
    waits = [Wait(port, shut.why, shut.until) for port, shut in found.items() if port not in going]
    told = set(found.values())
    if len(told) == 1 and not going:
        (only,) = told
        return Waiting(only.why, only.until)
    return Waiting("" if going else Turn((), tuple(waits)).why, ports=tuple(waits))


def _why(run: Run, campaign: Campaign, lane: int) -> Shut:
    if campaign.may_go_on(lane, run.env.wall()):
        return IN_THE_WAY
    return closed_lane(run, campaign, lane)
