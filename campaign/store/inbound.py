"""Replies: inbound messages, however often a device pushes or lists them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import astuple, dataclass

_SUFFIX = 7
"""Fewest digits that are taken for somebody's number without its country code."""


@dataclass(frozen=True)
class InboundRow:
    """One inbound SMS; `at` is the device's stamp, `sender` may be alphanumeric."""

    gateway_id: int
    port: str
    iccid: str
    at: int | None
    sender: str
    recipient: str
    text: str
    received_ms: int


def keep_inbound(conn: sqlite3.Connection, message: InboundRow) -> bool:
    """Store a message; False if the same one (SIM, stamp, sender, text) is there already."""
    return (
        conn.execute(
            """
            INSERT OR IGNORE INTO inbound
                (gateway_id, port, iccid, at, sender, recipient, text, received_ms)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            """,
            astuple(message),
        ).rowcount
        > 0
    )


def known_numbers(conn: sqlite3.Connection, senders: Sequence[str]) -> list[str]:
    """The numbers these senders go by in our lists, and the senders themselves.

    A network may write a sender nationally (0 and no country code): then every recipient with
    these last digits is meant, for an opt-out is better taken once too often.
    """
    numbers: set[str] = set(senders)
    for sender in senders:
        tail = sender.lstrip("0")
        if len(tail) < _SUFFIX:
            continue
        if conn.execute("SELECT 1 FROM recipients WHERE number = ?", (sender,)).fetchone():
            continue
        # a scan, for the rare sender that stands in no list as it is
        rows = conn.execute(
            "SELECT DISTINCT number FROM recipients WHERE number LIKE '%' || ?", (tail,)
        )
        numbers.update(row["number"] for row in rows)
    return sorted(numbers)
