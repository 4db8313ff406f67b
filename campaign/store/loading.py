"""A list into the ledger: many rows in one statement, and which of them repeat a number."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from campaign.store.tables import INDEXES

R = TypeVar("R", bound=tuple[object, ...])

_INSERT = """
    INSERT INTO recipients (id, campaign_id, row, number, text, columns, parts, lane, state)
"""
_SHARED = """
    json_extract(value, '$[0]'), json_extract(value, '$[1]'), :text,
    json_extract(value, '$[2]'), :parts, :lane
"""
_OWN = ", ".join(f"json_extract(value, '$[{place}]')" for place in range(6))
_ONCE = "ON CONFLICT (number, campaign_id) DO NOTHING"
_NUL = b"\\u0000"


_NUMBER_INDEX = next(sql for sql in INDEXES if " recipients_number " in sql)


def begin_fresh(conn: sqlite3.Connection) -> bool:
    """Whether the ledger's first list comes, into which `end_fresh` is to find repeated numbers.

    Then the index of numbers is taken away: to sort a million at the end takes a second, to put
    each in its place as it comes takes ten. Until then only this list may be imported.
    """
    if conn.execute("SELECT 1 FROM recipients LIMIT 1").fetchone():
        return False
    conn.execute("DROP INDEX IF EXISTS recipients_number")
    return True


def end_fresh(
    conn: sqlite3.Connection, campaign_id: int, suspects: Sequence[str] | None = None
) -> list[tuple[int, str]]:
    """Take out rows of a fresh list whose number stands before them, and make the index anew.

    Every number that stands there twice is among `suspects`; None: look at all of them. Returns
    the lines and numbers of what was taken out, in order.
    """
    again = (
        _repeated(conn, campaign_id)
        if suspects is None
        else _repeated_of(conn, campaign_id, suspects)
    )
    refused: list[tuple[int, str]] = []
    for id_ in again:
        refused += conn.execute(
            "DELETE FROM recipients WHERE id = ? RETURNING row, number", (id_,)
        ).fetchall()
    restore_index(conn)
    return refused


def _repeated(conn: sqlite3.Connection, campaign_id: int) -> list[int]:
    """Ids of rows whose number stands before them: all numbers are sorted for it."""
    groups = conn.execute(
        """
        SELECT group_concat(id) FROM recipients WHERE campaign_id = ?
        GROUP BY number HAVING count(*) > 1
        """,
        (campaign_id,),
    )
    return sorted(id_ for (ids,) in groups for id_ in sorted(map(int, ids.split(",")))[1:])


def _repeated_of(conn: sqlite3.Connection, campaign_id: int, suspects: Sequence[str]) -> list[int]:
    """As `_repeated`, of some numbers: one pass over the list, which is alone in the ledger."""
    found = conn.execute(
        """
        SELECT id, number FROM recipients NOT INDEXED
        WHERE campaign_id = ? AND number IN (SELECT value FROM json_each(?)) ORDER BY id
        """,
        (campaign_id, msgspec.json.encode(suspects).decode()),
    )
    seen: set[str] = set()
    again = []
    for id_, number in found:
        if number in seen:
            again.append(id_)
        seen.add(number)
    return again


def restore_index(conn: sqlite3.Connection) -> None:
    """Have the index of numbers again after an import that was given up, once its rows are gone."""
    if not conn.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = 'recipients_number'"
    ).fetchone():
        conn.execute(_NUMBER_INDEX)


def insert_recipients(
    conn: sqlite3.Connection, campaign_id: int, rows: Sequence[R], *, fresh: bool = False
) -> list[R]:
    """Store rows (`campaigns.NewRecipient`) as pending, in their order behind all others.

    Returns those whose number the campaign has already; they are not stored. Of a `fresh`
    list all are, until `end_fresh`. It is one statement
    for all of them, so that other threads run meanwhile: one for each row would have to wait for
    the interpreter each time.
    """
    (base,) = conn.execute("SELECT coalesce(max(id), 0) FROM recipients").fetchone()
    once = "" if fresh else _ONCE
    values, encoded, shared = _encoded(rows)
    if _NUL in encoded:  # SQLite's JSON ends a text there
        conn.executemany(
            f"{_INSERT} VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'pending') {once}",
            [(base + i, campaign_id, *row) for i, row in enumerate(rows, 1)],
        )
    else:
        conn.execute(
            f"""
            {_INSERT}
            SELECT :base + 1 + key, :campaign, {values}, 'pending'
            FROM json_each(:rows) WHERE true {once}
            """,
            {"base": base, "campaign": campaign_id, "rows": encoded.decode(), **shared},
        )
    if fresh:
        return []
    return [rows[i] for first, end in _gaps(conn, base, len(rows)) for i in range(first, end)]


def _encoded(rows: Sequence[R]) -> tuple[str, bytes, dict[str, object]]:
    """The columns of rows as SQL takes them from an array of JSON, that array, and what all rows
    share: most lists have one text, and half the time went into taking it out of each row."""
    if rows:
        lines, numbers, texts, columns, parts, lanes = zip(*rows, strict=True)
        shared = {"text": texts[0], "parts": parts[0], "lane": lanes[0]}
        if all(column.count(column[0]) == len(rows) for column in (texts, parts, lanes)):
            each = zip(lines, numbers, columns, strict=True)
            return _SHARED, msgspec.json.encode(list(each)), shared
    return _OWN, msgspec.json.encode(rows), {}


def _gaps(conn: sqlite3.Connection, base: int, count: int) -> list[tuple[int, int]]:
    """Which of `count` rows after `base` are not there: (from, to before), counted from 0."""
    found = conn.execute(
        """
        SELECT before - :base, id - 1 - :base FROM (
            SELECT id, lag(id, 1, :base) OVER (ORDER BY id) AS before
            FROM recipients WHERE id > :base
        ) WHERE id > before + 1
        """,
        {"base": base},
    ).fetchall()
    (last,) = conn.execute(
        "SELECT coalesce(max(id), :base) - :base FROM recipients WHERE id > :base", {"base": base}
    ).fetchone()
    return [*((first, end) for first, end in found), (last, count)]
