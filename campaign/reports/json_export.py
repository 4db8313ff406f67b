"""The delivery report as one JSON object whose recipients are streamed, one a line."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from datetime import datetime
from typing import Any, TextIO

from campaign.reports.figures import Figures
from campaign.reports.rows import ReportRow, ledger_time
from campaign.store.campaigns import CampaignRow
from campaign.store.summary import REPORT_COLUMNS, campaign_object

_encode = json.JSONEncoder(ensure_ascii=False, separators=(", ", ": ")).encode


def write_json(
    conn: sqlite3.Connection,
    figures: Figures,
    rows: Iterable[ReportRow],
    out: TextIO,
    now: datetime,
) -> int:
    """Write the report; only `recipients` obeys a choice of states. Returns how many of them."""
    head: dict[str, Any] = {
        "campaign": _campaign(conn, figures, now),
        "totals": {str(state): n for state, n in figures.counts.items()},
        "by_gateway": figures.gateways,
        "by_reason": figures.reasons,
    }
    out.write("{\n")
    out.writelines(f"{_encode(key)}: {_encode(value)},\n" for key, value in head.items())
    out.write('"recipients": [')
    count = 0
    for row in rows:
        out.write(",\n" if count else "\n")
        out.write(_encode(_recipient(row, figures.campaign)))
        count += 1
    out.write("\n]\n}\n" if count else "]\n}\n")
    return count


def _campaign(conn: sqlite3.Connection, figures: Figures, now: datetime) -> dict[str, Any]:
    campaign = figures.campaign
    return {
        **campaign_object(conn, campaign),
        "incidents": figures.incidents,
        "retries": {"tries": figures.tries, "sent": figures.saved},
        "decisions": figures.decisions,
        "cost": _cost(figures),
        "plan": None if figures.planned is None else figures.planned.json(),
        "list": campaign.list_name,
        "message": campaign.message,
        "created_at": ledger_time(campaign.created_ms),
        "started_at": ledger_time(campaign.started_ms),
        "finished_at": ledger_time(campaign.finished_ms),
        "reported_at": ledger_time(int(now.timestamp()) * 1000),
    }


def _cost(figures: Figures) -> dict[str, Any] | None:
    """What was sent, on top of it what may have been, and SMS parts no price was given for."""
    if figures.costs is None:
        return None
    sent, maybe = figures.costs
    return {
        "sent": sent.number,
        "unknown": maybe.number,
        "unpriced_segments": sent.unpriced + maybe.unpriced,
    }


def _recipient(row: ReportRow, campaign: CampaignRow) -> dict[str, Any]:
    return {
        **dict(zip(REPORT_COLUMNS, row.fixed, strict=True)),
        "cause": row.cause,
        "columns": dict(zip(campaign.columns, row.own, strict=True)),
    }
