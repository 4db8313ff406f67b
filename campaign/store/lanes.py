"""Lanes: recipients of one campaign that may be sent to at the same times and places.

A lane is the distinct (zones, route, sim) of its campaign; it comes to be when the first recipient
of it is imported. A campaign without any stored lane has the one lane 0.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from campaign.planner.lanes import Lane

ONLY_LANE = (Lane(0),)
"""Those of a campaign whose recipients all may go anywhere at the same times."""

LANES_COLUMN = """
    (SELECT json_group_array(json_array(l.lane, l.zones, l.route, l.sim)) FROM lanes AS l
     WHERE l.campaign_id = campaigns.id) AS lanes
"""
"""SQL: the lanes of a row of `campaigns`, for `read_lanes`."""


class LaneBook:
    """Numbers the lanes of one campaign while its list is imported."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], int] = {}
        self._fresh: list[Lane] = []

    def number(self, zones: str = "", route: str = "", sim: str = "") -> int:
        """The lane of these; a new one if there was none."""
        key = (zones, route, sim)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = len(self._known)
            self._fresh.append(Lane(known, *key))
        return known

    def take_fresh(self) -> list[Lane]:
        """Those that came to be since this was last asked: to be stored with their recipients."""
        fresh, self._fresh = self._fresh, []
        return fresh


def add_lanes(conn: sqlite3.Connection, campaign_id: int, lanes: Iterable[Lane]) -> None:
    conn.executemany(
        "INSERT INTO lanes (campaign_id, lane, zones, route, sim) VALUES (?, ?, ?, ?, ?)",
        [(campaign_id, lane.number, lane.zones, lane.route, lane.sim) for lane in lanes],
    )


def lanes_of(conn: sqlite3.Connection, campaign_id: int) -> tuple[Lane, ...]:
    """The lanes of a campaign, by number; never none."""
    rows = conn.execute(
        "SELECT lane, zones, route, sim FROM lanes WHERE campaign_id = ? ORDER BY lane",
        (campaign_id,),
    )
    return tuple(Lane(*row) for row in rows) or ONLY_LANE


def read_lanes(text: str | None) -> tuple[Lane, ...]:
    """What `LANES_COLUMN` gave."""
    found = sorted((Lane(*values) for values in json.loads(text or "[]")), key=lambda x: x.number)
    return tuple(found) or ONLY_LANE


def waiting_lanes(conn: sqlite3.Connection, campaign_id: int) -> list[int]:
    """Lanes in which somebody waits who may go, by number: one look a lane, however many wait
    there. While a canary is on trial, only its recipients may."""
    (last,) = conn.execute(
        "SELECT CASE WHEN sampled = 0 THEN sample_end END FROM campaigns WHERE id = ?",
        (campaign_id,),
    ).fetchone()
    rows = conn.execute(
        # index recipients_pending, skipping from lane to lane
        """
        WITH RECURSIVE waiting(lane) AS (
            SELECT min(lane) FROM recipients WHERE campaign_id = :campaign AND state = 'pending'
            UNION ALL
            SELECT (SELECT min(r.lane) FROM recipients AS r WHERE r.campaign_id = :campaign
                        AND r.state = 'pending' AND r.lane > waiting.lane)
            FROM waiting WHERE waiting.lane IS NOT NULL
        )
        SELECT lane FROM waiting WHERE lane IS NOT NULL AND (:last IS NULL OR :last >= (
            SELECT min(r.id) FROM recipients AS r WHERE r.campaign_id = :campaign
                AND r.lane = waiting.lane AND r.state = 'pending'))
        """,
        {"campaign": campaign_id, "last": last},
    )
    return [row["lane"] for row in rows]


def waiting_in(conn: sqlite3.Connection, campaign_id: int, lane: int, most: int) -> int:
    """How many wait in a lane, counted up to `most` (index recipients_pending)."""
    (count,) = conn.execute(
        """
        SELECT count(*) FROM (SELECT 1 FROM recipients
            WHERE campaign_id = ? AND lane = ? AND state = 'pending' LIMIT ?)
        """,
        (campaign_id, lane, most),
    ).fetchone()
    return int(count)


def lane_counts(conn: sqlite3.Connection, campaign_id: int) -> dict[int, int]:
    """Recipients by lane (one pass over the campaign)."""
    rows = conn.execute(
        "SELECT lane, count(*) FROM recipients WHERE campaign_id = ? GROUP BY lane", (campaign_id,)
    )
    return dict(rows.fetchall())
