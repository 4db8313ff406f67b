"""What is different where the engine stands as a service: no campaign's end, and no alarm, ends it.

A campaign that waits on an alarm stays a target, and goes on by itself once one of its gateways was
looked at; one that is over is let go, so that a service that lives for months stays as quick.
"""

from __future__ import annotations

from collections.abc import Iterable

from campaign.engine.campaign import Campaign
from campaign.engine.runtime import Run
from campaign.planner.states import CampaignState
from campaign.store.campaigns import CampaignRow, campaign_options
from campaign.store.transitions import move_from

_GOES = (CampaignState.RUNNING, CampaignState.WAITING)


def stand(run: Run, rows: Iterable[CampaignRow]) -> None:
    """Serve from now on, beginning with these campaigns. An alarm stays one until somebody has
    looked at it: a restart does not lift it."""
    run.serving = True
    for row in rows:
        take_up(run, row)
    run.ring()


def take_up(run: Run, row: CampaignRow) -> Campaign:
    """Send for a campaign that is not over."""
    campaign = run.campaigns.setdefault(row.id, Campaign.from_row(row))
    run.targets.add(row.id)
    run.notice(f"campaign {row.name} goes on ({row.state})")
    return campaign


async def keep_waiting(run: Run, campaign: Campaign, why: str) -> None:
    """Every gateway of it is stopped by an alarm: it waits until somebody has looked.

    One that was cancelled stays so, for whatever of it is on a gateway that cannot be reached.
    """
    if campaign.state is CampaignState.CANCELLED:
        return
    if campaign.state is CampaignState.WAITING and campaign.waiting_for == why:
        return
    if not await store_wait(run, campaign, why):
        return
    campaign.state, campaign.waiting_for = CampaignState.WAITING, why
    run.notice(f"campaign {campaign.name} waits: {why}")


async def store_wait(run: Run, campaign: Campaign, why: str) -> bool:
    """Write down that it waits; False if somebody paused or ended it meanwhile."""
    waiting = CampaignState.WAITING
    return await run.write(
        move_from, run.now_ms(), campaign.id, _GOES, waiting, why, waiting_for=why
    )


async def go_on(run: Run, campaign: Campaign) -> None:
    """Something of it is under way, or may be: the alarm a service kept it waiting for is over."""
    waiting, running = CampaignState.WAITING, CampaignState.RUNNING
    if not run.serving or campaign.state is not waiting:
        return
    why = "the alarm is lifted"
    if not await run.write(move_from, run.now_ms(), campaign.id, (waiting,), running, why):
        return  # somebody paused or ended it meanwhile, and carries that out now
    campaign.state, campaign.waiting_for = running, ""
    run.notice(f"campaign {campaign.name} goes on: {why}")
    run.ring()


async def see_lifted(run: Run) -> None:
    """Alarms were lifted in the ledger: what waited for them is seen as it stands there now."""
    waiting = [one for one in run.campaigns.values() if one.state is CampaignState.WAITING]
    for campaign in waiting:
        state, _ = await run.store.read(campaign_options, campaign.id)
        if campaign.state is CampaignState.WAITING and state is not CampaignState.WAITING:
            campaign.state, campaign.waiting_for = state, ""


def let_go(run: Run, campaign: Campaign) -> None:
    """It is over: whoever decides to send to somebody of it again brings it back from the
    ledger."""
    run.campaigns.pop(campaign.id, None)
    run.attachments.pop(campaign.id, None)
    run.notice(f"campaign {campaign.name} is over")
