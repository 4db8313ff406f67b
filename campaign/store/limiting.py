"""Limits that change while a campaign runs: stored where resume finds them, with what held when."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from campaign.planner.options import CampaignOptions
from campaign.planner.settings import LIMITS
from campaign.store.campaigns import CampaignRow
from campaign.store.gateways import GatewayRow
from campaign.store.journal import decide

CAMPAIGN_LIMITS = ("rate", "segment_rate", "per_port", "interval", "daily_per_sim")
"""Those of a campaign's options that may change while it runs."""


def campaign_limits(options: CampaignOptions) -> dict[str, Any]:
    """The limits a campaign asks for, by option; those it does not set are None."""
    return {name: getattr(options, name) for name in CAMPAIGN_LIMITS}


def set_campaign_limits(
    conn: sqlite3.Connection,
    now_ms: int,
    campaign: CampaignRow,
    changes: Mapping[str, Any],
    by: str,
) -> CampaignOptions:
    """Change limits of a campaign (None lifts one), and record what held before and holds now."""
    options = msgspec.structs.replace(campaign.options, **changes)
    options.check_limits()  # what else an earlier version took is not asked about now
    conn.execute("UPDATE campaigns SET options = ? WHERE id = ?", (options.encode(), campaign.id))
    before, after = campaign_limits(campaign.options), campaign_limits(options)
    _record(conn, now_ms, "campaign_id", campaign.id, before, after)
    decide(conn, now_ms, "limits", _words(before, after), campaign_id=campaign.id, by=by)
    return options


def record_gateway_limits(
    conn: sqlite3.Connection, now_ms: int, gateway: GatewayRow, settings: Mapping[str, str], by: str
) -> None:
    """Record that a gateway's limits become those among these settings; nothing if none does."""
    before, after = _limits_among(gateway.settings), _limits_among(settings)
    if before == after:
        return
    _record(conn, now_ms, "gateway_id", gateway.id, before, after)
    decide(conn, now_ms, "limits", _words(before, after), gateway_id=gateway.id, by=by)


def _limits_among(settings: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in sorted(settings.items()) if name in LIMITS}


def _words(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return ", ".join(
        f"{name.replace('_', '-')} {before.get(name) or 'none'} -> {after.get(name) or 'none'}"
        for name in changed
    )


def _record(
    conn: sqlite3.Connection,
    now_ms: int,
    owner: str,
    owner_id: int,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> None:
    first = conn.execute(f"SELECT 1 FROM limit_changes WHERE {owner} = ?", (owner_id,)).fetchone()
    rows = [] if first is not None else [(0, owner_id, json.dumps(before))]
    conn.executemany(
        f"INSERT INTO limit_changes (at_ms, {owner}, limits) VALUES (?, ?, ?)",
        [*rows, (now_ms, owner_id, json.dumps(after))],
    )


@dataclass(frozen=True)
class InForce:
    """Limits from a moment on, up to (not including) another; None: until now."""

    from_ms: int
    until_ms: int | None
    limits: Mapping[str, Any]


def limits_over_time(
    conn: sqlite3.Connection, now: Mapping[str, Any], *, campaign_id: int = 0, gateway_id: int = 0
) -> list[InForce]:
    """What held when, oldest first; `now` where nothing was ever changed."""
    rows = conn.execute(
        """
        SELECT at_ms, limits FROM limit_changes WHERE campaign_id = ? OR gateway_id = ? ORDER BY id
        """,
        (campaign_id, gateway_id),
    ).fetchall()
    if not rows:
        return [InForce(0, None, dict(now))]
    ends = [row["at_ms"] for row in rows[1:]] + [None]
    return [
        InForce(row["at_ms"], end, json.loads(row["limits"]))
        for row, end in zip(rows, ends, strict=True)
    ]
