"""Replies: inbound messages, however often a device pushes or lists them."""

from __future__ import annotations

import sqlite3
from dataclasses import astuple, dataclass


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
