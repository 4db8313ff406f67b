"""The last message of each campaign, gateway and port: where a pace goes on after a restart."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

_SLACK_MS = 60_000
"""Ids follow the order of claims; their clock may have been set back a little meanwhile."""


@dataclass(frozen=True)
class LastIntent:
    """When a task was last written down, on our clock, and what it put on air."""

    at_ms: int
    campaign_id: int
    size: int
    parts: int


@dataclass
class LastIntents:
    """The latest of each, as far back as was asked for. Ports are (gateway id, number)."""

    campaigns: dict[int, LastIntent] = field(default_factory=dict)
    gateways: dict[int, LastIntent] = field(default_factory=dict)
    ports: dict[tuple[int, int], LastIntent] = field(default_factory=dict)


def last_intents(conn: sqlite3.Connection, since_ms: int) -> LastIntents:
    """The latest tasks since then, newest first along the primary key: it costs what is younger."""
    found = LastIntents()
    rows = conn.execute(
        """
        SELECT campaign_id, gateway_id, port, coalesce(intent_ms, created_ms) AS at_ms, created_ms,
            size, parts
        FROM tasks ORDER BY id DESC
        """
    )
    for row in rows:
        if row["created_ms"] < since_ms - _SLACK_MS:
            break
        last = LastIntent(row["at_ms"], row["campaign_id"], row["size"], row["parts"])
        found.campaigns.setdefault(row["campaign_id"], last)
        found.gateways.setdefault(row["gateway_id"], last)
        found.ports.setdefault((row["gateway_id"], row["port"]), last)
    rows.close()
    return found
