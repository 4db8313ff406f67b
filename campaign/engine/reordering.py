"""Another priority or share for a campaign, stored; a running engine takes it up at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

import msgspec

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
