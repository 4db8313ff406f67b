"""What earlier runs left on devices, and which of them the devices answered to."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection

_LOOKED_AT = 10_000
"""Tasks, from the newest back, among which a run's reports are looked for."""


def held_by_ports(conn: sqlite3.Connection, gateway_id: int) -> dict[int, int]:
    """Messages by port that a device was given and has not told the end of; none that is paused
    there or taken back (index tasks_live)."""
    rows = conn.execute(
        """
        SELECT t.port, count(*) FROM tasks AS t INDEXED BY tasks_live
        JOIN attempts AS a ON a.task_id = t.id AND a.live = 1
        WHERE t.gateway_id = ? AND t.closed_ms IS NULL AND t.port IS NOT NULL
            AND t.state IN ('intent', 'doubt', 'accepted')
        GROUP BY 1
        """,
        (gateway_id,),
    )
    return {row[0]: row[1] for row in rows}


def heard_runs(conn: sqlite3.Connection) -> dict[int, frozenset[int]]:
    """By gateway id, the runs (epochs) with tasks on a device now of whose tasks there it has
    reported one: only reports have counters.

    A run that is not found among the newest tasks counts as unheard.
    """
    sought: set[tuple[int, int]] = {
        (gateway_id, epoch)
        for gateway_id, epoch in conn.execute(
            # index tasks_live
            "SELECT DISTINCT gateway_id, epoch FROM tasks WHERE closed_ms IS NULL"
        )
    }
    heard: dict[int, frozenset[int]] = {}
    rows = conn.execute(
        "SELECT gateway_id, epoch, c_sent IS NOT NULL FROM tasks ORDER BY id DESC LIMIT ?",
        (_LOOKED_AT,),
    )
    for gateway_id, epoch, is_reported in rows:
        if not sought:
            break
        if is_reported and (gateway_id, epoch) in sought:
            sought.remove((gateway_id, epoch))
            heard[gateway_id] = heard.get(gateway_id, frozenset()) | {epoch}
    rows.close()
    return heard


def unheard_by_ports(
    conn: sqlite3.Connection, gateway_id: int, heard: Collection[int]
) -> dict[int, int]:
    """Messages in flight on a device by port, without those of the `heard` runs (index
    tasks_live)."""
    rows = conn.execute(
        """
        SELECT t.port, count(*) FROM tasks AS t INDEXED BY tasks_live
        JOIN attempts AS a ON a.task_id = t.id AND a.live = 1
        WHERE t.gateway_id = ? AND t.closed_ms IS NULL AND t.port IS NOT NULL
            AND t.epoch NOT IN (SELECT value FROM json_each(?))
        GROUP BY 1
        """,
        (gateway_id, json.dumps(sorted(heard))),
    )
    return {row[0]: row[1] for row in rows}
