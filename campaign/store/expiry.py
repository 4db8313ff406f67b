"""The end of a campaign's time: whoever still waits is expired, some at a time."""

from __future__ import annotations

import sqlite3

from campaign.planner.states import CampaignState, RecipientState
from campaign.store.journal import Tally, decide
from campaign.store.transitions import move_from
from campaign.store.unproved import back_to_unknown, is_unproved

_BATCH = 2000
"""Recipients a transaction: whoever else writes waits no longer than for these."""

_WAITING = {
    # index recipients_pending
    RecipientState.PENDING: """
        SELECT id, attempts FROM recipients WHERE campaign_id = ? AND state = 'pending'
        ORDER BY lane, id LIMIT ?
    """,
    # index recipients_held
    RecipientState.HELD: """
        SELECT id, attempts FROM recipients WHERE campaign_id = ? AND state = 'held'
        ORDER BY due_ms, id LIMIT ?
    """,
}


def begin_campaign(conn: sqlite3.Connection, now_ms: int, campaign_id: int, why: str) -> bool:
    """scheduled -> running; any other is left as it is: False."""
    scheduled = (CampaignState.SCHEDULED,)
    return move_from(conn, now_ms, campaign_id, scheduled, CampaignState.RUNNING, why)


def expire_some(conn: sqlite3.Connection, now_ms: int, campaign_id: int, why: str) -> int:
    """The next of those who wait expire; returns how many, 0 when nobody waits any more.

    One that waits to be sent to again after an attempt that was never proved is unknown, as it was.
    """
    for state, query in _WAITING.items():
        rows = conn.execute(query, (campaign_id, _BATCH)).fetchall()
        if not rows:
            continue
        unproved = [row["id"] for row in rows if row["attempts"] and is_unproved(conn, row["id"])]
        expired = sorted({row["id"] for row in rows} - set(unproved))
        back_to_unknown(conn, unproved, why)
        conn.executemany(
            """
            UPDATE recipients SET state = 'expired', due_ms = NULL, cause = NULL, reason = ?
            WHERE id = ?
            """,
            [(why, recipient_id) for recipient_id in expired],
        )
        tally = Tally()
        tally.moved(campaign_id, state, RecipientState.UNKNOWN, len(unproved))
        tally.moved(campaign_id, state, RecipientState.EXPIRED, len(expired))
        tally.store(conn)
        decide(conn, now_ms, "expire", f"{len(rows)} recipients: {why}", campaign_id=campaign_id)
        return len(rows)
    return 0


def deadline_of(conn: sqlite3.Connection, campaign_id: int) -> int | None:
    """When nothing more of a campaign is tried, in ms; None: it has no deadline."""
    row = conn.execute("SELECT deadline_ms FROM campaigns WHERE id = ?", (campaign_id,)).fetchone()
    return None if row["deadline_ms"] is None else int(row["deadline_ms"])
