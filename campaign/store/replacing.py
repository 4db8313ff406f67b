"""Putting a prepared ledger in the place of another, which is kept: the old or the new, no mixture.

A WAL left beside the place would be replayed into whatever file takes it. So the old ledger is
first made one file; only where that cannot be done because it is damaged, its WAL moves away with
it. What is kept of a sound one is a copy that says so before the old one goes, so that at no moment
there is a second ledger that could send.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from campaign.errors import SchemaError, StoreError
from campaign.store.copying import (
    COMPANIONS,
    copy_database,
    keep_aside,
    remove_database,
    sync_file,
    sync_folder,
)
from campaign.store.lineage import mark_copied
from campaign.store.opening import is_marked
from campaign.store.trouble import told

_PATIENCE = 10.0


def refuse_foreign_place(db: Path) -> None:
    """Raise `SchemaError` if a sound database of somebody else lies there (a damaged file may be
    anything, and is kept)."""
    if not db.exists():
        return
    try:
        with closing(_open(db, "ro")) as conn:
            marked = is_marked(conn)
            (tables,) = conn.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        return
    if tables and not marked:
        raise SchemaError(f"{db} is an SQLite database, but not a campaign ledger: --db names it")


def take_in_wal(db: Path) -> bool:
    """Make the ledger there one file, so that it can be replaced; False where what lies there is
    damaged, or no ledger, and its WAL can only be kept as it is.

    Raises `StoreError`, with everything as it was, while somebody reads it, and where the disk does
    not let it: its WAL holds what was sent, and must not leave it then.
    """
    try:
        # opened for writing, what cannot be read as a database would lose its WAL
        if not db.exists() or not _is_ledger(db):
            return False
        with closing(_open(db, "rw")) as conn:
            (mode,) = conn.execute("PRAGMA journal_mode = DELETE").fetchone()
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise StoreError(f"{db} is being read by another process: try again") from error
        raise StoreError(f"{db} cannot be made one file: {told(error)}") from error
    except sqlite3.DatabaseError:
        return False
    if mode != "delete":
        raise StoreError(f"{db} cannot be made one file: it stays in journal mode {mode}")
    return True


def keep_replaced(db: Path, aside: Path, made: str, *, sound: bool) -> list[Path]:
    """Keep what lies at `db` as `aside` too; a sound ledger as a copy that says it was made `made`.

    Raises `StoreError` or `OSError`, and nothing is at `aside`, where that cannot be done.
    """
    if not db.exists():
        return []
    if not (sound and _copied(db, aside, made)):
        keep_aside(db, aside)
    return [aside]


def take_place(draft: Path, db: Path, aside: Path, *, sound: bool) -> list[Path]:
    """Move `draft` to `db`, where what lay is kept already; returns what moved with that."""
    sync_file(draft)
    kept = [] if sound else move_companions(db, aside)
    draft.replace(db)
    sync_folder(db.parent)
    return kept


def move_aside(place: Path, aside: Path) -> list[Path]:
    """Move a damaged database away with its companions; returns where its files are now."""
    kept = move_companions(place, aside)
    place.rename(aside)
    sync_folder(place.parent)
    return [aside, *kept]


def move_companions(place: Path, aside: Path) -> list[Path]:
    """Move what SQLite keeps beside a database; returns where it is now."""
    kept: list[Path] = []
    for end in COMPANIONS:
        companion = place.with_name(place.name + end)
        if companion.exists():
            kept.append(companion.rename(aside.with_name(aside.name + end)))
    if kept:
        sync_folder(place.parent)
    return kept


def _is_ledger(db: Path) -> bool:
    with closing(_open(db, "ro")) as conn:
        return is_marked(conn)


def _copied(db: Path, aside: Path, made: str) -> bool:
    """Copy the ledger to `aside`, marked as a copy; False where it is too damaged for that, and so
    for going on with it."""
    draft = db.with_name(db.name + ".keeping")
    remove_database(draft)  # of a restore that was cut off
    try:
        with closing(_open(db, "ro")) as conn:
            copy_database(conn, draft, lambda copy: mark_copied(copy, made))
        draft.replace(aside)
        sync_folder(aside.parent)
    except sqlite3.OperationalError as error:
        raise StoreError(f"{db} cannot be kept as {aside}: {told(error)}") from error
    except sqlite3.DatabaseError:
        return False
    finally:
        remove_database(draft)
    return True


def _open(db: Path, mode: str) -> sqlite3.Connection:
    conn = sqlite3.connect(
        f"file:{quote(str(db))}?mode={mode}", uri=True, isolation_level=None, timeout=_PATIENCE
    )
    conn.row_factory = sqlite3.Row
    return conn
