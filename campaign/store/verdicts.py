"""What was judged of a campaign: its first recipients, its test, and what was final then."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping

from campaign.planner.states import FINAL_RECIPIENT_STATES, RecipientState
from campaign.store.campaigns import counts


def mark_sample(conn: sqlite3.Connection, campaign_id: int, size: int) -> None:
    """Only the first `size` recipients of the list may be claimed until they are judged: the claim
    itself looks at the last one's id, so that no two of them can pass it together."""
    row = conn.execute(
        # index recipients_campaign
        "SELECT id FROM recipients WHERE campaign_id = ? ORDER BY id LIMIT 1 OFFSET ?",
        (campaign_id, size - 1),
    ).fetchone()
    if row is not None:
        conn.execute("UPDATE campaigns SET sample_end = ? WHERE id = ?", (row["id"], campaign_id))


def sample_counts(conn: sqlite3.Connection, campaign_id: int) -> dict[RecipientState, int]:
    """The first recipients by state; every state is there. Costs a look at each of them."""
    found: Mapping[str, int] = dict(
        # index recipients_campaign
        conn.execute(
            """
            SELECT state, count(*) FROM recipients WHERE campaign_id = :id
                AND id <= (SELECT sample_end FROM campaigns WHERE id = :id) GROUP BY state
            """,
            {"id": campaign_id},
        ).fetchall()
    )
    return {state: found.get(state, 0) for state in RecipientState}


def end_sample(conn: sqlite3.Connection, campaign_id: int) -> None:
    """The first recipients were judged: the rest may go, unless the campaign is paused for it."""
    conn.execute("UPDATE campaigns SET sampled = 1 WHERE id = ?", (campaign_id,))


def end_test(conn: sqlite3.Connection, campaign_id: int) -> None:
    """The test on own numbers was judged."""
    conn.execute("UPDATE campaigns SET tested = 1 WHERE id = ?", (campaign_id,))


def judge_anew(conn: sqlite3.Connection, campaign_id: int) -> None:
    """From now on only those count that become final later."""
    tallies = counts(conn, campaign_id)
    final = {str(state): n for state, n in tallies.items() if state in FINAL_RECIPIENT_STATES}
    conn.execute(
        "UPDATE campaigns SET judged = ? WHERE id = ?",
        (json.dumps(final, sort_keys=True), campaign_id),
    )


def judged_before(conn: sqlite3.Connection, campaign_id: int) -> dict[str, int]:
    """Recipients by final state that are not judged any more."""
    (text,) = conn.execute("SELECT judged FROM campaigns WHERE id = ?", (campaign_id,)).fetchone()
    return {} if text is None else dict(json.loads(text))
