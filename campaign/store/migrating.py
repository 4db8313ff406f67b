"""Bringing a ledger's schema up to date: forward only, a copy first, each step whole or not at all.

A migration and the record of it are one transaction (sqlite-utils), and SQLite's changes of a
schema are part of it: a crash in the middle leaves the schema as it was before that step.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database

from campaign.errors import SchemaError, StoreError
from campaign.store.copying import copy_into_place
from campaign.store.door import transaction
from campaign.store.health import missing_migrations
from campaign.store.lineage import mark_copied
from campaign.store.schema import ledger_migrations, render_moves


@dataclass(frozen=True)
class Migrated:
    """What was applied, in order, and the copy that holds the ledger as it was before."""

    applied: tuple[str, ...] = ()
    copy: Path | None = None


def copy_before(db: Path, migration: str) -> Path:
    """Where the ledger as it was before a migration is kept; an earlier copy there is replaced by
    the ledger's latest state of that same schema."""
    return db.with_name(f"{db.name}.before-{migration}")


def bring_up_to_date(conn: sqlite3.Connection, db: Path, *, keep_copy: bool = True) -> Migrated:
    """Apply what is missing to a ledger open for writing; a fresh file is made without a copy.

    Raises `StoreError`, with nothing changed, where the copy cannot be made.
    """
    missing = missing_migrations(conn)
    (tables,) = conn.execute("SELECT count(*) FROM sqlite_master").fetchone()
    copy: Path | None = None
    if missing and tables and is_begun(conn) and keep_copy:
        copy = copy_before(db, missing[0])
        _keep(conn, db, copy, missing[0])
    ledger_migrations.apply(Database(conn, execute_plugins=False))
    with transaction(conn):
        render_moves(conn)
    return Migrated(tuple(missing), copy)


def is_begun(conn: sqlite3.Connection) -> bool:
    """Whether there is a ledger in the file at all, of whatever version."""
    return len(missing_migrations(conn)) < len(ledger_migrations._migrations)


def refuse_old_schema(conn: sqlite3.Connection, db: Path) -> None:
    """Raise `SchemaError`, with what to do, for a ledger that a writer has to migrate first."""
    if not missing_migrations(conn):
        return
    if not is_begun(conn):
        raise SchemaError(f"there is nothing in {db} yet: launch a campaign first")
    raise SchemaError(
        f"{db} was written by an earlier version of campaign: campaign db migrate brings it up to"
        " date and keeps a copy"
    )


def _keep(conn: sqlite3.Connection, db: Path, copy: Path, migration: str) -> None:
    (made,) = conn.execute("SELECT strftime('%Y-%m-%dT%H:%M:%SZ', 'now')").fetchone()
    try:
        copy_into_place(conn, copy, lambda made_copy: mark_copied(made_copy, made))
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            f"{db} needs {migration}, and no copy of it could be made first at {copy} ({error}):"
            " nothing was changed"
        ) from error
