"""Whether a ledger and the opt-out store beside it are whole."""

from __future__ import annotations

import sqlite3

from campaign.store.schema import ledger_migrations

OLDEST_SQLITE = (3, 37, 0)
"""STRICT tables."""

SQLITE_VERSION = sqlite3.sqlite_version


def is_sqlite_new_enough() -> bool:
    return sqlite3.sqlite_version_info >= OLDEST_SQLITE


def faults(conn: sqlite3.Connection) -> list[str]:
    """What SQLite finds wrong in the files of this connection; nothing when they are whole."""
    found = [
        str(row[0])
        for (name,) in conn.execute("SELECT name FROM pragma_database_list ORDER BY seq").fetchall()
        if name != "temp"
        for row in conn.execute(f"PRAGMA {name}.quick_check(10)")
    ]
    return [fault for fault in found if fault != "ok"]


def damage(conn: sqlite3.Connection) -> list[str]:
    """The thorough look: what the whole file, every index and every reference has wrong."""
    try:
        found = [str(row[0]) for row in conn.execute("PRAGMA integrity_check(10)")]
        dangling = conn.execute("PRAGMA foreign_key_check").fetchall()
    except sqlite3.DatabaseError as error:
        return [str(error)]
    wrong = [fault for fault in found if fault != "ok"]
    return wrong + [f"row {row[1]} of {row[0]} refers to no {row[2]}" for row in dangling[:10]]


def journal_of(conn: sqlite3.Connection) -> tuple[str, int]:
    """(journal mode, synchronous) as a connection sees them."""
    (mode,) = conn.execute("PRAGMA journal_mode").fetchone()
    (synchronous,) = conn.execute("PRAGMA synchronous").fetchone()
    return str(mode), int(synchronous)


def applied_migrations(conn: sqlite3.Connection) -> set[str]:
    """The changes of the schema that this file has seen; none in an empty file.

    Raises `sqlite3.Error` where it cannot be read, which says nothing of what it has seen.
    """
    (is_there,) = conn.execute(
        "SELECT count(*) FROM main.sqlite_master WHERE name = '_sqlite_migrations'"
    ).fetchone()
    if not is_there:
        return set()
    rows = conn.execute(
        "SELECT name FROM main._sqlite_migrations WHERE migration_set = ?",
        (ledger_migrations.name,),
    )
    return {row[0] for row in rows}


def missing_migrations(conn: sqlite3.Connection) -> list[str]:
    """Changes of the schema that the next engine will make first; errors as above."""
    applied = applied_migrations(conn)
    return [m.name for m in ledger_migrations._migrations if m.name not in applied]
