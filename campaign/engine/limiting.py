"""The verb `rate`: other limits for a campaign, from its next message on."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from campaign.errors import UsageError
from campaign.planner.states import CampaignState
from campaign.store.campaigns import get_campaign
from campaign.store.limiting import CAMPAIGN_LIMITS, campaign_limits, set_campaign_limits

_OVER = (CampaignState.FINISHED, CampaignState.CANCELLED)


def rate(conn: sqlite3.Connection, now_ms: int, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """`changes`: options of `launch` (`rate`, `segment_rate`, `per_port`, `interval`,
    `daily_per_sim`) to their new values, None lifts one. Returns the limits in force."""
    campaign = get_campaign(conn, parameters["name"])
    changes = dict(parameters["changes"])
    unknown = sorted(changes.keys() - set(CAMPAIGN_LIMITS))
    if unknown:
        raise UsageError(f"{', '.join(unknown)}: not a limit that can be changed")
    if campaign.state in _OVER:
        raise UsageError(f"campaign {campaign.name!r} is {campaign.state}: nothing more is sent")
    if campaign.state is CampaignState.IMPORTING:
        raise UsageError(f"campaign {campaign.name!r} is still being imported: try again then")
    options = campaign.options
    if any(getattr(options, name) != value for name, value in changes.items()):
        by = parameters.get("by", "operator")
        options = set_campaign_limits(conn, now_ms, campaign, changes, by)
    return {"limits": campaign_limits(options)}
