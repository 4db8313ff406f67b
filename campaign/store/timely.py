"""The law of sending times, told from the ledger: windows by recipients' zones, start, deadline."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime

from campaign.planner.lanes import Hours, hours_of
from campaign.planner.options import CampaignOptions
from campaign.store.audit import Finding
from campaign.store.lanes import lanes_of

JITTER_MS = 2000
"""Two clocks, and the time between deciding and writing down, may differ by this much."""

_SHOWN = 10


def windows(conn: sqlite3.Connection, campaign_id: int | None) -> Finding:
    """Every intent lies in the window of its task's lane, after the start and before the deadline
    of its campaign."""
    broken: list[str] = []
    checked = 0
    rows = conn.execute(
        "SELECT id, name, options, start_ms, deadline_ms FROM campaigns"
        " WHERE :campaign IS NULL OR id = :campaign ORDER BY id",
        {"campaign": campaign_id},
    ).fetchall()
    for campaign in rows:
        window = CampaignOptions.decode(campaign["options"]).parsed_window
        bounds = campaign["start_ms"], campaign["deadline_ms"]
        if window is None and bounds == (None, None):
            continue
        checked += 1
        hours = {
            lane.number: hours_of(window, lane, None, None)
            for lane in lanes_of(conn, campaign["id"])
        }
        broken += [
            f"{campaign['name']} tid {row['tid']} at"
            f" {datetime.fromtimestamp(row['intent_ms'] // 1000, UTC)}"
            for row in _strays(conn, campaign["id"], hours, *bounds)
        ]
    law = "nothing is sent outside the window"
    if not broken:
        return Finding(law, "holds", f"{checked} windows")
    more = f" and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
    return Finding(law, "broken", "; ".join(broken[:_SHOWN]) + more)


def _strays(
    conn: sqlite3.Connection,
    campaign_id: int,
    hours: Mapping[int, Hours],
    start_ms: int | None,
    deadline_ms: int | None,
) -> list[sqlite3.Row]:
    """Tasks of a campaign that were posted at a time when they might not be."""
    tasks = conn.execute(
        # index tasks_campaign
        "SELECT tid, lane, intent_ms FROM tasks WHERE campaign_id = ? AND intent_ms IS NOT NULL"
        " AND posts > 0 ORDER BY id",
        (campaign_id,),
    )
    known: dict[tuple[int, int], bool] = {}
    return [
        task
        for task in tasks
        if (start_ms is not None and task["intent_ms"] < start_ms - JITTER_MS)
        or (deadline_ms is not None and task["intent_ms"] >= deadline_ms + JITTER_MS)
        or not _is_open(hours, task["lane"], task["intent_ms"], known)
    ]


def _is_open(
    hours: Mapping[int, Hours], lane: int, at_ms: int, known: dict[tuple[int, int], bool]
) -> bool:
    """Whether it is open, or was or will be within the jitter; windows count in minutes."""
    if lane not in hours:
        return False
    for moment in (at_ms, at_ms - JITTER_MS, at_ms + JITTER_MS):
        minute = moment // 60_000
        if (lane, minute) not in known:
            known[lane, minute] = (
                hours[lane].phase(datetime.fromtimestamp(minute * 60, UTC)).is_open
            )
        if known[lane, minute]:
            return True
    return False
