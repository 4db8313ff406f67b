"""Forecasting: every campaign is forecast once when it begins, for its report to compare.

In the background, a little at a time: nothing that is sent waits for it.
"""

from __future__ import annotations

from datetime import UTC, datetime

import trio

from campaign.engine.campaign import Campaign
from campaign.engine.foresight import demand_of, forecast_json, moment, outlook
from campaign.engine.runtime import Run
from campaign.planner.forecast import forecast_steps
from campaign.planner.workload import SIM_SECONDS
from campaign.store.campaigns import get_campaign
from campaign.store.foreseen import Alike, alike_after, keep_forecast, kept_forecast


async def keep_forecasts(run: Run) -> None:
    """Forecast each campaign that is launched in this run as soon as its gateways are known."""
    seen = set(run.campaigns)  # those were begun in an earlier run
    while True:
        mark = run.changed.mark()
        for campaign_id in sorted(run.targets - seen):
            campaign = run.campaigns[campaign_id]
            if _are_known(run, campaign):
                seen.add(campaign_id)
                if await run.store.read(kept_forecast, campaign_id) is None:
                    await _keep(run, campaign)
        await run.changed.wait(mark)


def _are_known(run: Run, campaign: Campaign) -> bool:
    """Whether each of its gateways has told its ports, or is in trouble."""
    gateways = run.gateways_of(campaign)
    return bool(gateways) and all(
        gateway.ready or gateway.trouble or gateway.row.stopped for gateway in gateways
    )


async def _keep(run: Run, campaign: Campaign) -> None:
    began = run.now()
    row = await run.store.read(get_campaign, campaign.name)
    alike: Alike = Alike()
    last: int | None = 0
    while last is not None:
        more, last = await run.store.read(alike_after, campaign.id, last)
        alike += more
    gateways = [gateway.row for gateway in run.gateways_of(campaign)]
    start, deadline = _at(row.start_ms), _at(row.deadline_ms)
    around = await run.store.read(
        outlook, run.now_ms(), campaign.options, gateways, besides=campaign.id, deadline=deadline
    )
    demand = demand_of(campaign.options, alike, row.lanes, start, deadline)
    steps = forecast_steps(began, demand, around.sims, around.conditions, around.others)
    while (found := next(steps, None)) is None:
        await trio.lowlevel.checkpoint()
    planned = {
        "made_at": moment(began),
        "recipients": demand.messages,
        "segments": demand.parts,
        "failures": around.conditions.failures,
        "assumed": {
            "ports": sum(not sim.is_measured for sim in around.sims),
            "seconds": SIM_SECONDS[1],
        },
        **forecast_json(found),
    }
    await run.write(keep_forecast, campaign.id, planned)


def _at(ms: int | None) -> datetime | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)
