"""Replies: inbound messages, however often a device pushes or lists them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Literal

_SUFFIX = 7
"""Fewest digits that are taken for somebody's number without its country code."""


@dataclass(frozen=True)
class InboundRow:
    """One inbound SMS; `at` is the device's stamp, `sender` may be alphanumeric, `port` is 1.01 or
    1, `source` push or poll."""

    gateway_id: int
    port: str
    iccid: str
    at: int | None
    sender: str
    recipient: str
    text: str
    received_ms: int
    source: Literal["push", "poll"] = "push"
    opted_out: bool = False


@dataclass(frozen=True)
class StoredInbound(InboundRow):
    """An inbound SMS as it is listed, with its device's name."""

    id: int = 0
    gateway: str = ""


def keep_inbound(conn: sqlite3.Connection, message: InboundRow) -> bool:
    """Store a message; False if the same one (device, port, stamp, sender, text) is there already,
    pushed or polled."""
    return (
        conn.execute(
            """
            INSERT OR IGNORE INTO inbound
                (gateway_id, port, iccid, at, sender, recipient, text, received_ms, source,
                 opted_out)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            astuple(message),
        ).rowcount
        > 0
    )


def list_inbound(
    conn: sqlite3.Connection,
    *,
    gateway_id: int | None = None,
    search: str | None = None,
    since_ms: int = 0,
    after_id: int | None = None,
    opted_out: bool = False,
    limit: int = 100,
) -> list[StoredInbound]:
    """Inbound messages, oldest first: the latest `limit` of them, or those after an id.

    `search` is found anywhere in text, sender or recipient, without regard to (ASCII) case.
    """
    pattern = None if not search else f"%{_escaped(search)}%"
    order = "DESC" if after_id is None else "ASC"
    rows = conn.execute(
        f"""
        SELECT i.id, i.gateway_id, g.name AS gateway, i.port, i.iccid, i.at, i.sender, i.recipient,
            i.text, i.received_ms, i.source, i.opted_out
        FROM inbound AS i JOIN gateways AS g ON g.id = i.gateway_id
        WHERE i.id > :after AND i.received_ms >= :since
            AND (:gateway IS NULL OR i.gateway_id = :gateway)
            AND (NOT :opted_out OR i.opted_out = 1)
            AND (:pattern IS NULL OR i.text LIKE :pattern ESCAPE '\\'
                OR i.sender LIKE :pattern ESCAPE '\\' OR i.recipient LIKE :pattern ESCAPE '\\')
        ORDER BY i.id {order} LIMIT :limit
        """,
        {
            "after": after_id or 0,
            "since": since_ms,
            "gateway": gateway_id,
            "opted_out": opted_out,
            "pattern": pattern,
            "limit": limit,
        },
    ).fetchall()
    found = [StoredInbound(**{**dict(row), "opted_out": bool(row["opted_out"])}) for row in rows]
    return found[::-1] if after_id is None else found


def _escaped(text: str) -> str:
    return "".join(f"\\{char}" if char in "%_\\" else char for char in text)


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
