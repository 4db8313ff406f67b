"""What is different where the engine stands as a service: no campaign's end, and no alarm, ends it.

A campaign that waits on an alarm stays a target, and goes on by itself once one of its gateways was
looked at; one that is over is let go, so that a service that lives for months stays as quick.
"""

from __future__ import annotations

from collections.abc import Iterable

from campaign.engine.campaign import Campaign
from campaign.engine.runtime import Run
from campaign.planner.states import CampaignState
from campaign.store.campaigns import (
    CampaignRow,
    list_campaigns,
    set_campaign_state,
    set_waiting,
)


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
    """Every gateway of it is stopped by an alarm: it waits until somebody has looked."""
    if campaign.state is CampaignState.WAITING and campaign.waiting_for == why:
        return
    await run.write(set_campaign_state, run.now_ms(), campaign.id, CampaignState.WAITING, why)
    await run.write(set_waiting, campaign.id, why)
    campaign.state, campaign.waiting_for = CampaignState.WAITING, why
    run.notice(f"campaign {campaign.name} waits: {why}")


async def go_on(run: Run, campaign: Campaign) -> None:
    """Something of it is under way, or may be: the alarm a service kept it waiting for is over."""
    if not run.serving or campaign.state is not CampaignState.WAITING:
        return
    why = "the alarm is lifted"
    await run.write(set_campaign_state, run.now_ms(), campaign.id, CampaignState.RUNNING, why)
    campaign.state, campaign.waiting_for = CampaignState.RUNNING, ""
    run.notice(f"campaign {campaign.name} goes on: {why}")
    run.ring()


async def see_lifted(run: Run) -> None:
    """Alarms were lifted in the ledger: what waited for them is seen as it stands there now."""
    waiting = {row.id for row in await run.store.read(list_campaigns, (CampaignState.WAITING,))}
    for campaign in run.campaigns.values():
        if campaign.state is CampaignState.WAITING and campaign.id not in waiting:
            campaign.state, campaign.waiting_for = CampaignState.RUNNING, ""


def let_go(run: Run, campaign: Campaign) -> None:
    """It is over: whoever decides to send to somebody of it again brings it back from the
    ledger."""
    run.campaigns.pop(campaign.id, None)
    run.attachments.pop(campaign.id, None)
    run.notice(f"campaign {campaign.name} is over")
