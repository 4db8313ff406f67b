"""Which SIM wrote to a number before, so that it may do so again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence


def last_sims(conn: sqlite3.Connection, numbers: Sequence[str]) -> dict[str, str]:
    """The SIM that was last to write to each number; those nobody wrote to are missing.

    It is found from the tasks (indexes recipients_number, attempts_recipient): to keep it for every
    number as it is written to, in the random order of numbers, cost a fifth of all dispatch.
    """
    rows = conn.execute(
        # of equal times the greater name, so that the answer is always the same
        """
        SELECT wanted.value AS number, (
            SELECT t.sim FROM recipients AS r
            JOIN attempts AS a ON a.recipient_id = r.id
            JOIN tasks AS t ON t.id = a.task_id
            WHERE r.number = wanted.value AND t.sim IS NOT NULL
            ORDER BY t.created_ms DESC, t.sim DESC LIMIT 1) AS sim
        FROM json_each(?) AS wanted
        """,
        (json.dumps(list(numbers)),),
    )
    return {row["number"]: row["sim"] for row in rows if row["sim"] is not None}


def leave_the_sim(conn: sqlite3.Connection, recipient_id: int) -> None:
    """Move a recipient that its SIM failed to the lane of the same times and route without one.

    The import makes that lane beside every lane of a SIM.
    """
    conn.execute(
        """
        UPDATE recipients SET lane = coalesce((
            SELECT free.lane FROM lanes AS own JOIN lanes AS free
            ON free.campaign_id = own.campaign_id AND free.zones = own.zones
                AND free.route = own.route AND free.sim = ''
            WHERE own.campaign_id = recipients.campaign_id AND own.lane = recipients.lane
                AND own.sim <> ''), lane)
        WHERE id = ?
        """,
        (recipient_id,),
    )
