"""Receipts as a ledger credited them, held against the receipts that came (part of I14).

The replay takes from the ledger which messages have a receipt, for that is a choice among several
that may be the right one. What bounds the choice is checked here, from the evidence alone.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from itertools import groupby

from campaign.planner.crediting import OnAir
from campaign.planner.reconcile import Conclusion
from campaign.planner.replay import Replay
from campaign.planner.states import Evidence, Outcome
from campaign.store.unproved import not_released

CAME = "no more receipts are credited than came"
ALONE = "a receipt that alone proves a message can be nobody else's"

Check = Callable[[str, bool, str], None]
"""(law, whether it holds, where)."""


def compare_credits(
    conn: sqlite3.Connection, campaign_id: int, replay: Replay, check: Check
) -> None:
    """Both laws, for every number of a campaign that has a receipt."""
    rows = conn.execute(
        """
        SELECT r.number, r.row, t.gateway_id, t.port, t.tid, t.created_ms, t.verdict,
            a.task_id, a.idx, a.receipts, a.evidence
        FROM tasks AS t JOIN attempts AS a ON a.task_id = t.id
        JOIN recipients AS r ON r.id = a.recipient_id
        WHERE t.campaign_id = ? AND a.receipts > 0 ORDER BY r.id, t.gateway_id
        """,
        (campaign_id,),
    )
    conclusions: dict[int, Conclusion] = {}
    for (number, gateway_id), group in groupby(rows, key=lambda row: (row[0], row[2])):
        credited: Counter[int | None] = Counter()
        for row in group:
            credited[row["port"]] += row["receipts"]
            task = replay.tasks[row["task_id"]]
            if row["evidence"] == Evidence.RECEIPT and not _is_legacy(row):
                if row["task_id"] not in conclusions:
                    conclusions[row["task_id"]] = task.conclude()
                if conclusions[row["task_id"]].outcomes[row["idx"] - 1] is not Outcome.SENT:
                    _check_alone(conn, row, replay, check)
        lacking = replay.arrivals.lacking(gateway_id, number, credited)
        check(CAME, lacking == 0, f"row {row['row']} has {lacking} more than came")


def _is_legacy(row: sqlite3.Row) -> bool:
    """The old interface's own answer proved it sent before any receipt."""
    return str(row["verdict"] or "").startswith("taken by the old interface")


def _check_alone(conn: sqlite3.Connection, row: sqlite3.Row, replay: Replay, check: Check) -> None:
    others = conn.execute(
        # index recipients_number. Left out is what was, or had been, proved unsent when the receipt
        # was credited: a report may have said otherwise since
        f"""
        SELECT u.port, u.created_ms FROM recipients AS q
        JOIN attempts AS b ON b.recipient_id = q.id JOIN tasks AS u ON u.id = b.task_id
        WHERE q.number = ? AND (b.task_id, b.idx) <> (?, ?) AND u.gateway_id = ?
            AND b.told & 2 = 0 AND b.outcome IS NOT 'failed' AND {not_released("u")}
        """,
        (row["number"], row["task_id"], row["idx"], row["gateway_id"]),
    )
    rivals = [OnAir(other["port"], other["created_ms"]) for other in others]
    message = OnAir(row["port"], row["created_ms"])
    proved = replay.arrivals.prove(row["gateway_id"], row["number"], message, rivals)
    check(ALONE, proved, f"tid {row['tid']} place {row['idx']}")
