"""How long receipts of a campaign are waited for."""

from __future__ import annotations

from campaign.engine.campaign import Campaign
from campaign.engine.runtime import Run
from campaign.store.tasks import last_closed


async def receipt_deadline(run: Run, campaign: Campaign) -> float:
    """Receipts are waited for `receipt-wait` long from the last closed task on, resumed or not."""
    gateways = run.gateways_of(campaign)
    wait = min((run.settings(g, campaign.id).receipt_wait for g in gateways), default=0.0)
    closed_ms = await run.store.read(last_closed, campaign.id)
    if closed_ms is None:
        return float("-inf")  # this ledger sent none of them (it was restored): no receipt can fit
    # a wall clock set back between two runs must not make the wait longer than it is
    return min(run.env.monotonic(), run.monotonic_at(closed_ms)) + wait
