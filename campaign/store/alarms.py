"""Alarms: what stopped a gateway or made a campaign wait until somebody has looked at it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from campaign.store.campaigns import CampaignRow


def lift_alarms(conn: sqlite3.Connection, campaigns: Sequence[CampaignRow]) -> None:
    """Somebody looked at it: stopped gateways and waiting campaigns may go on."""
    conn.execute("UPDATE gateways SET stopped = NULL WHERE stopped IS NOT NULL")
    conn.executemany(
        "UPDATE campaigns SET state = 'running', waiting_for = NULL "
        "WHERE id = ? AND state = 'waiting'",
        [(row.id,) for row in campaigns],
    )
