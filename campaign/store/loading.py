"""A list into the ledger: many rows in one statement, and which of them repeat a number."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from campaign.store.batches import AlikeRecipients, NewRecipient, Recipients
from campaign.store.tables import INDEXES

_INSERT = """
    INSERT INTO recipients (id, campaign_id, row, number, text, columns, parts, lane, state)
"""
# Cut out of texts of fixed width, which is a third quicker than to take them out of JSON.
_ALIKE = """
    CAST(substr(:lines, key * :line_width + 1, :line_width) AS INTEGER),
    rtrim(substr(:numbers, key * :width + 1, :width)), NULL, value, :parts, 0
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
    taken_out = conn.execute(
        """
        DELETE FROM recipients WHERE id IN (SELECT value FROM json_each(?))
        RETURNING id, row, number
        """,
        (msgspec.json.encode(again).decode(),),
    ).fetchall()
    restore_index(conn)
    return [(row, number) for _, row, number in sorted(map(tuple, taken_out))]


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
    conn: sqlite3.Connection, campaign_id: int, rows: Recipients, *, fresh: bool = False
) -> list[int]:
    """Store rows as pending, in their order behind all others.

    Returns the places of those whose number the campaign has already; they are not stored. Of a
    `fresh` list all are, until `end_fresh`. It is one statement for all of them, so that other
    threads run meanwhile: one for each row would have to wait for the interpreter each time.
    """
    (base,) = conn.execute("SELECT coalesce(max(id), 0) FROM recipients").fetchone()
    once = "" if fresh else _ONCE
    if isinstance(rows, AlikeRecipients):
        _insert_alike(conn, campaign_id, base, rows, once)
    else:
        _insert_others(conn, campaign_id, base, rows, once)
    if fresh:
        return []
    return [i for first, end in _gaps(conn, base, len(rows)) for i in range(first, end)]


def _insert_alike(
    conn: sqlite3.Connection, campaign_id: int, base: int, rows: AlikeRecipients, once: str
) -> None:
    line_width, lines = rows.fixed_lines()
    width, numbers = rows.fixed_numbers()
    conn.execute(
        f"""
        {_INSERT}
        SELECT :base + 1 + key, :campaign, {_ALIKE}, 'pending'
        FROM json_each(:columns) WHERE true {once}
        """,
        {
            "base": base, "campaign": campaign_id, "parts": rows.parts, "lines": lines,
            "line_width": line_width, "numbers": numbers, "width": width,
            "columns": rows.columns_array(),
        },
    )  # fmt: skip


def _insert_others(
    conn: sqlite3.Connection, campaign_id: int, base: int, rows: Sequence[NewRecipient], once: str
) -> None:
    encoded = msgspec.json.encode(rows)
    if _NUL in encoded:  # SQLite's JSON ends a text there
        conn.executemany(
            f"{_INSERT} VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'pending') {once}",
            [(base + i, campaign_id, *row) for i, row in enumerate(rows, 1)],
        )
        return
    conn.execute(
        f"""
        {_INSERT}
        SELECT :base + 1 + key, :campaign, {_OWN}, 'pending'
        FROM json_each(:rows) WHERE true {once}
        """,
        {"base": base, "campaign": campaign_id, "rows": encoded.decode()},
    )


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
