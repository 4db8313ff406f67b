"""Which SIM wrote to a number before, so that it may do so again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence


def keep_contacts(
    conn: sqlite3.Connection, now_ms: int, contacts: Iterable[tuple[str, str]]
) -> None:
    """Remember that SIMs are about to write to numbers: (SIM, number) pairs.

    In key order: inserts in random order cost many times as much.
    """
    conn.executemany(
        """
        INSERT INTO sim_contacts (sim, number, last_ms) VALUES (?, ?, ?)
        ON CONFLICT (sim, number) DO UPDATE SET last_ms = excluded.last_ms
        """,
        [(sim, number, now_ms) for sim, number in sorted(contacts)],
    )


def last_sims(conn: sqlite3.Connection, numbers: Sequence[str]) -> dict[str, str]:
    """The SIM that wrote last to each number; those nobody wrote to are missing."""
    rows = conn.execute(
        # index sim_contacts_number: one look for each number; of equal times the greater name, so
        # that the answer is always the same
        """
        SELECT wanted.value AS number,
            (SELECT c.sim FROM sim_contacts AS c WHERE c.number = wanted.value
             ORDER BY c.last_ms DESC, c.sim DESC LIMIT 1) AS sim
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
