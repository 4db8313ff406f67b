"""Messages of the old interface: what the device takes counts as sent, on no better evidence."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from campaign.planner.states import Evidence, Outcome, RecipientState, TaskState
from campaign.store.claims import close
from campaign.store.journal import Tally
from campaign.store.tasks import get_tasks, mark_accepted


def settle_taken(conn: sqlite3.Connection, now_ms: int, task_id: int) -> None:
    """intent -> accepted -> closed, its recipients `sent` with the evidence `accepted`."""
    (task,) = get_tasks(conn, [task_id])
    if task.state is not TaskState.INTENT:
        return
    mark_accepted(conn, [task_id], now_ms)
    rows = conn.execute(
        "SELECT recipient_id FROM attempts WHERE task_id = ? AND live = 1 ORDER BY recipient_id",
        (task_id,),
    ).fetchall()
    conn.execute(
        "UPDATE attempts SET live = 0, outcome = ?, evidence = ? WHERE task_id = ? AND live = 1",
        (Outcome.SENT, Evidence.ACCEPTED, task_id),
    )
    conn.executemany(
        "UPDATE recipients SET state = 'sent', evidence = ? WHERE id = ?",
        [(Evidence.ACCEPTED, row["recipient_id"]) for row in rows],
    )
    tally = Tally()
    tally.moved(task.campaign_id, RecipientState.ASSIGNED, RecipientState.SENT, len(rows))
    tally.store(conn)
    close(conn, task_id, now_ms, "taken by the old interface, which reports nothing")


def awaiting_receipts(conn: sqlite3.Connection, campaign_id: int, silent: Collection[int]) -> int:
    """How many may still get a receipt: sent or unknown, and not through one of the `silent`
    gateways, which give none."""
    marks = ", ".join("?" * len(silent))
    (count,) = conn.execute(
        f"""
        SELECT count(*) FROM recipients WHERE campaign_id = ? AND state IN ('sent', 'unknown')
            AND (gateway_id IS NULL OR gateway_id NOT IN ({marks}))
        """,
        (campaign_id, *silent),
    ).fetchone()
    return int(count)
