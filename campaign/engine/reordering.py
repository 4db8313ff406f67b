"""Another priority or share for a campaign that runs: stored first, then taken up at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

import msgspec

from campaign.engine.runtime import Run
from campaign.errors import UsageError
from campaign.planner.states import CampaignState
from campaign.store.campaigns import get_campaign, set_options
from campaign.store.journal import decide

_OVER = (CampaignState.FINISHED, CampaignState.CANCELLED)


def reorder(conn: sqlite3.Connection, now_ms: int, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The verb: `priority` and `share`, each left as it is where it is None."""
    campaign = get_campaign(conn, parameters["name"])
    if campaign.state in _OVER:
        raise UsageError(f"campaign {campaign.name!r} is {campaign.state}: nothing waits in it")
    asked = {name: parameters.get(name) for name in ("priority", "share")}
    changes = {name: value for name, value in asked.items() if value is not None}
    options = msgspec.structs.replace(campaign.options, **changes)
    options.check_order()  # what else an earlier version took is not asked about now
    if options != campaign.options:
        set_options(conn, campaign.id, options)
        why = f"priority {options.priority}, share {options.share}"
        by = parameters.get("by", "operator")
        decide(conn, now_ms, "priority", why, campaign_id=campaign.id, by=by)
    return {"priority": options.priority, "share": options.share}


async def take_up_order(run: Run, name: str) -> None:
    """Let the running engine know what was just stored; each dispatcher looks anew whose tasks
    are in the way of whose."""
    row = await run.store.read(get_campaign, name)
    campaign = run.campaigns.get(row.id)
    if campaign is None:
        return
    campaign.options, campaign.priority = row.options, row.options.parsed_priority
    for gateway in run.gateways.values():
        gateway.overtaken = None
