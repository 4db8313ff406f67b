"""What each SIM was charged with, by calendar hour, day and month.

What is queued when a period ends may go on air in the next: a new period begins with what
its SIM still has in flight. A row is thus never below what truly went on air in its period. What
is proved unsent is given back.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Final

from campaign.planner.quotas import Amounts, Caps, Period, Usage, bounds
from campaign.store.journal import decide
from campaign.store.unproved import not_released

LONGEST_MS: Final = {
    Period.HOUR: 3 * 3_600_000,
    Period.DAY: 2 * 86_400_000,
    Period.MONTH: 32 * 86_400_000,
}
"""No period of its kind is longer."""


@dataclass(frozen=True)
class SimLimits:
    """The SIM that a port sends through in a claim, its caps, and whose calendar they follow."""

    sim: str
    caps: Caps = field(default_factory=Caps)
    zone: tzinfo = UTC


@dataclass(frozen=True, slots=True)
class PeriodRow:
    """One period of one SIM; milliseconds."""

    start_ms: int
    end_ms: int
    segments: int
    recipients: int
    is_stored: bool


def usage_of(
    conn: sqlite3.Connection, sims: Collection[str], now_ms: int, zone: tzinfo
) -> dict[str, Usage]:
    """What each of these SIMs was charged with in the periods of now; nothing is written."""
    rows = rows_of(conn, sims, now_ms, zone)
    return {sim: _usage(conn, sim, rows[sim]) for sim in sims}


def _usage(conn: sqlite3.Connection, sim: str, rows: Mapping[Period, PeriodRow]) -> Usage:
    return Usage(
        Amounts(*(rows[period].segments for period in Period)),
        Amounts(*(rows[period].recipients for period in Period)),
        days_before(conn, sim, rows[Period.DAY].start_ms),
    )


def days_before(conn: sqlite3.Connection, sim: str, today_ms: int) -> int:
    """On how many days before today it sent (primary key)."""
    (days,) = conn.execute(
        """
        SELECT count(*) FROM sim_usage
        WHERE sim = ? AND period = 'day' AND start_ms < ? AND segments > 0
        """,
        (sim, today_ms),
    ).fetchone()
    return int(days)


@lru_cache(maxsize=8)  # the same for all SIMs of a claim
def _periods(now_ms: int, zone: tzinfo) -> Mapping[Period, tuple[int, int]]:
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    found = {period: bounds(period, now, zone) for period in Period}
    return {
        period: (round(start.timestamp() * 1000), round(end.timestamp() * 1000))
        for period, (start, end) in found.items()
    }


def rows_of(
    conn: sqlite3.Connection, sims: Collection[str], now_ms: int, zone: tzinfo
) -> dict[str, dict[Period, PeriodRow]]:
    """The periods of now of each SIM, read together (primary key)."""
    periods = _periods(now_ms, zone)
    starts = [start_ms for start_ms, _ in periods.values()]
    found = {
        (sim, period, start_ms): (segments, recipients)
        for sim, period, start_ms, segments, recipients in conn.execute(
            """
            SELECT sim, period, start_ms, segments, recipients FROM sim_usage
            WHERE sim IN (SELECT value FROM json_each(?)) AND period IN ('hour', 'day', 'month')
                AND start_ms IN (?, ?, ?)
            """,
            (json.dumps(list(sims)), *starts),
        )
    }
    rows: dict[str, dict[Period, PeriodRow]] = {sim: {} for sim in sims}
    for period, (start_ms, end_ms) in periods.items():
        new = [sim for sim in sims if (sim, period, start_ms) not in found]
        counted = count_charged(conn, new, start_ms)
        for sim in sims:
            stored = found.get((sim, period, start_ms))
            segments, recipients = stored or counted.get(sim, (0, 0))
            rows[sim][period] = PeriodRow(
                start_ms, end_ms, segments, recipients, stored is not None
            )
    return rows


def are_in_their_periods(
    conn: sqlite3.Connection, sims: Collection[str], now_ms: int, zone: tzinfo
) -> bool:
    """Whether the periods of now of all these SIMs have begun, and no later one, as there may be
    where civil time was set back (primary key)."""
    asked = json.dumps(list(sims))
    for period, (start_ms, _) in _periods(now_ms, zone).items():
        begun, latest = conn.execute(
            """
            SELECT count(*), max(u.start_ms) FROM json_each(?) AS asked CROSS JOIN sim_usage AS u
            WHERE u.sim = asked.value AND u.period = ? AND u.start_ms >= ?
            """,
            (asked, period, start_ms),
        ).fetchone()
        if begun < len(sims) or latest != start_ms:
            return False
    return True


_CHARGED: Final = f"""
    JOIN attempts AS a ON a.task_id = t.id JOIN recipients AS r ON r.id = a.recipient_id
    WHERE t.sim IN (SELECT value FROM json_each(:sims))
        AND (a.live = 1 OR a.outcome IS NOT NULL OR {not_released("t")})
        -- of an earlier period's task only what was not final when this one began
        AND (t.created_ms >= :start OR a.live = 1 OR a.evidence = 'receipt'
            OR t.closed_ms IS NOT NULL OR coalesce(t.news_ms, 0) >= :start)
"""


def charged(columns: str) -> str:
    """SQL for these columns of all messages of SIMs (`:sims`, a JSON array) that may have gone on
    air since `:start`, or still may. Tasks that live are few, and looked through."""
    return f"""
        SELECT {columns} FROM tasks AS t INDEXED BY tasks_live {_CHARGED} AND t.closed_ms IS NULL
        UNION ALL
        SELECT {columns} FROM tasks AS t INDEXED BY tasks_sim {_CHARGED} AND t.closed_ms >= :start
    """


def count_charged(
    conn: sqlite3.Connection, sims: Collection[str], start_ms: int
) -> dict[str, tuple[int, int]]:
    """(segments, distinct recipients) by SIM that may have gone on air since then, or still may,
    counted from their tasks; who has none is left out."""
    if not sims:
        return {}
    rows = conn.execute(
        f"""
        SELECT sim, sum(parts), count(DISTINCT number) FROM ({charged("t.sim, r.parts, r.number")})
        GROUP BY sim
        """,
        {"sims": json.dumps(list(sims)), "start": start_ms},
    )
    return {sim: (int(segments), int(recipients)) for sim, segments, recipients in rows}


def count_again_if_set_back(conn: sqlite3.Connection, sims: Collection[str], now_ms: int) -> None:
    """Civil time was set back if a period of these SIMs begins later than now (primary key).

    That one is counted from its tasks once it comes; those of now hold what was claimed meanwhile,
    too, for it may go on air in them.
    """
    gone = conn.execute(
        """
        DELETE FROM sim_usage WHERE sim IN (SELECT value FROM json_each(?))
            AND period IN ('hour', 'day', 'month') AND start_ms > ? RETURNING sim
        """,
        (json.dumps(list(sims)), now_ms),
    ).fetchall()
    for sim in sorted({row[0] for row in gone}):
        _count_again(conn, sim, now_ms)


def _count_again(conn: sqlite3.Connection, sim: str, now_ms: int) -> None:
    rows = conn.execute(
        "SELECT period, start_ms FROM sim_usage WHERE sim = ? AND start_ms <= ? AND end_ms > ?",
        (sim, now_ms, now_ms),
    ).fetchall()
    for period, start_ms in rows:
        segments, recipients = count_charged(conn, (sim,), start_ms).get(sim, (0, 0))
        conn.execute(
            """
            UPDATE sim_usage SET segments = max(segments, ?), recipients = max(recipients, ?)
            WHERE sim = ? AND period = ? AND start_ms = ?
            """,
            (segments, recipients, sim, period, start_ms),
        )


def give_back(conn: sqlite3.Connection, task_id: int) -> None:
    """The open attempts of a task are proved unsent: each period they were charged to gets their
    segments back. Call it before the attempts are closed."""
    row = conn.execute(
        """
        SELECT t.sim, t.created_ms, coalesce(sum(r.parts), 0) AS parts
        FROM tasks AS t JOIN attempts AS a ON a.task_id = t.id AND a.live = 1
        JOIN recipients AS r ON r.id = a.recipient_id WHERE t.id = ? GROUP BY t.id
        """,
        (task_id,),
    ).fetchone()
    if row is not None and row["sim"] is not None:
        add_segments(conn, [(row["sim"], -row["parts"])], row["created_ms"])


def charge_to_another(
    conn: sqlite3.Connection, gateway_id: int, iccids: Mapping[int, str], now_ms: int
) -> None:
    """Ports now hold these SIMs: what is still queued there goes out through them, whichever it
    was claimed for. The SIM it was claimed for stays charged: some of it may be on air already."""
    rows = conn.execute(
        # index tasks_live
        """
        SELECT id, port, sim, created_ms FROM tasks
        WHERE gateway_id = ? AND closed_ms IS NULL AND sim IS NOT NULL ORDER BY id
        """,
        (gateway_id,),
    ).fetchall()
    for row in rows:
        iccid = iccids.get(row["port"], "")
        if not iccid or iccid == row["sim"]:
            continue
        (parts,) = conn.execute(
            """
            SELECT coalesce(sum(r.parts), 0) FROM attempts AS a
            JOIN recipients AS r ON r.id = a.recipient_id WHERE a.task_id = ? AND a.live = 1
            """,
            (row["id"],),
        ).fetchone()
        conn.execute("UPDATE tasks SET sim = ? WHERE id = ?", (iccid, row["id"]))
        decide(
            conn, now_ms, "sim_moved", "its port holds another SIM now",
            gateway_id=gateway_id, task_id=row["id"],
        )  # fmt: skip
        add_segments(conn, [(iccid, parts)], row["created_ms"])


def add_segments(conn: sqlite3.Connection, parts: Iterable[tuple[str, int]], since_ms: int) -> None:
    """Add to (or take from) every period of these SIMs that was not over at a moment: all of them
    are charged with what is claimed then (primary key)."""
    conn.executemany(
        """
        UPDATE sim_usage SET segments = max(0, segments + ?)
        WHERE sim = ? AND period = ? AND start_ms >= ? AND end_ms > ?
        """,
        [
            (added, sim, period, since_ms - longest_ms, since_ms)
            for sim, added in parts
            for period, longest_ms in LONGEST_MS.items()
        ],
    )
