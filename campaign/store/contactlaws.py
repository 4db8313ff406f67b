"""Laws about whom a ledger may have written to: nobody blocked, nobody more often than asked."""

from __future__ import annotations

import sqlite3

from campaign.planner.options import CampaignOptions
from campaign.store.audit import Finding
from campaign.store.suppression import counts_towards_cap

_JITTER_MS = 2000
"""Two clocks, and the time between deciding and writing down, may differ by this much."""
_SHOWN = 10


def nobody_blocked(conn: sqlite3.Connection, campaign_id: int | None) -> Finding:
    """As far as the lists still say it: an entry that was taken off tells nothing any more."""
    rows = conn.execute(
        """
        SELECT r.row, t.tid, b.list FROM blocked AS b JOIN recipients AS r ON r.number = b.number
        JOIN attempts AS a ON a.recipient_id = r.id JOIN tasks AS t ON t.id = a.task_id
        WHERE (:campaign IS NULL OR t.campaign_id = :campaign)
            AND t.posts > 0 AND t.intent_ms > b.at_ms + :jitter
        ORDER BY t.id, a.idx
        """,
        {"campaign": campaign_id, "jitter": _JITTER_MS},
    )
    broken = [f"row {row['row']} by tid {row['tid']} ({row['list']})" for row in rows]
    return _finding("nobody on a blocklist is written to", broken)


def nobody_too_often(conn: sqlite3.Connection, campaign_id: int | None) -> Finding:
    """Recounted for each message of a campaign with a cap: those to the same number that came
    before it, had not been over for the cap's time, and were not proved to have failed.

    What a device proved as failed and then as sent after all, or took though it had refused, did
    not count when it was decided: such a recipient has an incident or a report of its failure.
    """
    broken: list[str] = []
    checked = 0
    campaigns = conn.execute(
        "SELECT id, name, options FROM campaigns WHERE :campaign IS NULL OR id = :campaign"
        " ORDER BY id",
        {"campaign": campaign_id},
    ).fetchall()
    for campaign in campaigns:
        cap = CampaignOptions.decode(campaign["options"]).parsed_at_most
        if cap is None:
            continue
        checked += 1
        span = round(cap.seconds * 1000) - _JITTER_MS
        rows = conn.execute(_TOO_OFTEN, (campaign["id"], span, cap.most))
        broken += [f"{campaign['name']} row {row['row']} by tid {row['tid']}" for row in rows]
    return _finding("nobody gets more than the frequency cap", broken, f"{checked} caps")


_TOO_OFTEN = f"""
    -- indexes tasks_campaign, recipients_number, attempts_recipient
    SELECT r.row, n.tid FROM tasks AS n JOIN attempts AS m ON m.task_id = n.id
    JOIN recipients AS r ON r.id = m.recipient_id
    WHERE n.campaign_id = ? AND n.posts > 0 AND {counts_towards_cap("m", "n")}
        AND (SELECT count(*) FROM recipients AS p
            CROSS JOIN attempts AS a ON a.recipient_id = p.id
            CROSS JOIN tasks AS t ON t.id = a.task_id
            WHERE p.number = r.number AND t.id < n.id AND t.posts > 0
                AND (t.closed_ms IS NULL OR t.closed_ms > n.created_ms - ?)
                AND {counts_towards_cap("a", "t")} AND a.told & 2 = 0
                AND a.evidence <> 'operator'
                AND NOT EXISTS (SELECT 1 FROM incidents AS i
                                WHERE i.task_id = t.id AND i.recipient_id = p.id)
        ) >= ?
    ORDER BY n.id, m.idx
"""


def _finding(law: str, broken: list[str], detail: str = "") -> Finding:
    if not broken:
        return Finding(law, "holds", detail)
    more = f" and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
    return Finding(law, "broken", "; ".join(broken[:_SHOWN]) + more)
