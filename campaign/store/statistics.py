"""A device's own SMS counters as the third ledger: proof of what did not go out.

The type-3 counters of a port (spec §9) are read when nothing of ours lives there. Whatever they
grew by since then must be what our tasks there report; if it is exactly that, nothing else of ours
went on air.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from campaign.protocol.messages import SmsStat

_BELIEVABLE = 2**53
"""No SIM has sent as many; SQLite's integers end at 2**63."""


def keep_baseline(
    conn: sqlite3.Connection, gateway_id: int, boot_id: str, stats: Sequence[SmsStat]
) -> None:
    """Remember where the counters stand, for ports on which nothing of ours lives."""
    live = {
        row["port"]
        for row in conn.execute(
            "SELECT DISTINCT port FROM tasks WHERE gateway_id = ? AND closed_ms IS NULL",
            (gateway_id,),
        )
    }
    (last_task,) = conn.execute("SELECT coalesce(max(id), 0) FROM tasks").fetchone()
    for port, (sent, failed, sending) in sum_by_port(stats).items():
        if port in live or sending or max(sent, failed) > _BELIEVABLE:
            continue
        conn.execute(
            """
            UPDATE ports SET stat_boot = ?, stat_sent = ?, stat_failed = ?, stat_after_task = ?
            WHERE gateway_id = ? AND port = ?
            """,
            (boot_id, sent, failed, last_task, gateway_id, port),
        )


def sum_by_port(stats: Sequence[SmsStat]) -> dict[int, tuple[int, int, int]]:
    """(sent_ok, sent_failed, sending) by port, over all slots."""
    sums: dict[int, tuple[int, int, int]] = {}
    for stat in stats:
        sent, failed, sending = sums.get(stat.port, (0, 0, 0))
        sums[stat.port] = (sent + stat.sent_ok, failed + stat.sent_failed, sending + stat.sending)
    return sums


def accounts_exactly(
    conn: sqlite3.Connection, task_id: int, boot_id: str, stats: Sequence[SmsStat]
) -> bool:
    """Whether the growth of a task's port is exactly what our tasks there report.

    False whenever it cannot be told: another boot, no baseline, the task older than the baseline,
    a message still in the air.
    """
    row = conn.execute(
        """
        SELECT t.port, t.gateway_id, t.boot_id, p.stat_boot, p.stat_sent, p.stat_failed,
            p.stat_after_task
        FROM tasks AS t JOIN ports AS p ON p.gateway_id = t.gateway_id AND p.port = t.port
        WHERE t.id = ?
        """,
        (task_id,),
    ).fetchone()
    if row is None or row["stat_boot"] is None or row["stat_after_task"] >= task_id:
        return False
    if not row["boot_id"] == row["stat_boot"] == boot_id:
        return False
    sent, failed, sending = sum_by_port(stats).get(row["port"], (0, 0, 1))
    ours_sent, ours_failed = conn.execute(
        """
        SELECT coalesce(sum(a.outcome = 'sent'), 0),
            -- what was refused (evidence 'accepted') never came into the device's counters
            coalesce(sum(a.outcome IN ('failed', 'timeout') AND a.evidence <> 'accepted'), 0)
        FROM tasks AS t JOIN attempts AS a ON a.task_id = t.id
        WHERE t.gateway_id = ? AND t.port = ? AND t.id > ?
        """,
        (row["gateway_id"], row["port"], row["stat_after_task"]),
    ).fetchone()
    return (
        not sending
        and sent - row["stat_sent"] == ours_sent
        and failed - row["stat_failed"] == ours_failed
    )
