"""What SIMs sent, as it is charged to them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence


def parts_today(conn: sqlite3.Connection, now_ms: int, sims: Sequence[str]) -> dict[str, int]:
    """SMS parts charged to each of these SIMs in the day that holds `now_ms`; those without any
    are missing."""
    rows = conn.execute(
        # primary key of sim_usage: one look for each SIM
        """
        SELECT sim, segments FROM sim_usage
        WHERE sim IN (SELECT value FROM json_each(?)) AND period = 'day'
            AND start_ms <= ? AND end_ms > ?
        """,
        (json.dumps(list(sims)), now_ms, now_ms),
    )
    return {row["sim"]: row["segments"] for row in rows}
