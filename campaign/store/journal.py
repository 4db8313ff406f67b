"""What the ledger remembers beside the states: decisions, incidents, evidence, tallies, meta."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping

from campaign.errors import StaleEpoch
from campaign.planner.states import RecipientState


class Tally:
    """Moves between recipient states, counted while they happen and stored with them.

    `tallies` then always equals the sums over `recipients` without ever scanning them.
    """

    def __init__(self) -> None:
        self._deltas: Counter[tuple[int, str]] = Counter()

    def moved(
        self, campaign_id: int, old: str | None, new: RecipientState | str, n: int = 1
    ) -> None:
        """`n` recipients went from `old` (None: they are new) to `new`."""
        if old is not None:
            self._deltas[campaign_id, str(old)] -= n
        self._deltas[campaign_id, str(new)] += n

    def store(self, conn: sqlite3.Connection) -> None:
        """Write the sums; call once, last, in the transaction of the moves."""
        changed = [(c, s, n) for (c, s), n in sorted(self._deltas.items()) if n]
        conn.executemany(
            "INSERT OR IGNORE INTO tallies VALUES (?, ?, 0)", [(c, s) for c, s, _ in changed]
        )
        conn.executemany(
            "UPDATE tallies SET n = n + ? WHERE campaign_id = ? AND state = ?",
            [(n, c, s) for c, s, n in changed],
        )
        self._deltas.clear()


def decide(
    conn: sqlite3.Connection,
    now_ms: int,
    kind: str,
    why: str,
    *,
    campaign_id: int | None = None,
    gateway_id: int | None = None,
    task_id: int | None = None,
    recipient_id: int | None = None,
    by: str = "engine",
) -> None:
    """Record a decision with its reason."""
    conn.execute(
        """
        INSERT INTO decisions (at_ms, kind, campaign_id, gateway_id, task_id, recipient_id, why, by)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        """,
        (now_ms, kind, campaign_id, gateway_id, task_id, recipient_id, why, by),
    )


def incident(
    conn: sqlite3.Connection,
    now_ms: int,
    kind: str,
    detail: str,
    *,
    campaign_id: int | None = None,
    gateway_id: int | None = None,
    task_id: int | None = None,
    recipient_id: int | None = None,
) -> None:
    """Record what should not have happened: duplicate, anomaly, opted_out_in_flight, orphan."""
    conn.execute(
        """
        INSERT INTO incidents (at_ms, kind, campaign_id, gateway_id, task_id, recipient_id, detail)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        """,
        (now_ms, kind, campaign_id, gateway_id, task_id, recipient_id, detail),
    )


def last_incident(conn: sqlite3.Connection) -> int:
    """The id of the latest incident, 0 where there is none."""
    (last,) = conn.execute("SELECT coalesce(max(id), 0) FROM incidents").fetchone()
    return int(last)


def forget_repeated(conn: sqlite3.Connection, told: int) -> int:
    """Drop incidents after `told` that say again what one up to it says: rows of the inbox that are
    folded a second time are no second incident. Returns how many."""
    return conn.execute(
        """
        DELETE FROM incidents WHERE id > :told AND EXISTS (
            SELECT 1 FROM incidents AS e WHERE e.id <= :told
                AND e.campaign_id IS incidents.campaign_id AND e.kind = incidents.kind
                AND e.gateway_id IS incidents.gateway_id AND e.task_id IS incidents.task_id
                AND e.recipient_id IS incidents.recipient_id AND e.detail = incidents.detail)
        """,
        {"told": told},
    ).rowcount


def keep_evidence(
    conn: sqlite3.Connection, now_ms: int, gateway_id: int, kind: str, asked: str, answer: bytes
) -> None:
    """Keep a device's answer that a decision rests on, as it came."""
    conn.execute(
        "INSERT INTO evidence (at_ms, gateway_id, kind, asked, answer) VALUES (?, ?, ?, ?, ?)",
        (now_ms, gateway_id, kind, asked, answer),
    )


def read_meta(conn: sqlite3.Connection, key: str) -> str | None:
    row = conn.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row["value"])


def write_meta(conn: sqlite3.Connection, values: Mapping[str, str]) -> None:
    conn.executemany(
        """
        INSERT INTO meta VALUES (?, ?)
        ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE value <> excluded.value
        """,
        values.items(),
    )


def begin_epoch(conn: sqlite3.Connection) -> int:
    """Take the ledger over: every later write of an earlier engine raises `StaleEpoch`."""
    epoch = int(read_meta(conn, "epoch") or 0) + 1
    write_meta(conn, {"epoch": str(epoch)})
    return epoch


def check_epoch(conn: sqlite3.Connection, epoch: int) -> None:
    """Raise `StaleEpoch` unless `epoch` is still the ledger's engine."""
    if int(read_meta(conn, "epoch") or 0) != epoch:
        raise StaleEpoch("another engine took over this ledger; this one stops at once")
