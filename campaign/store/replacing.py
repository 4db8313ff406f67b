"""Putting a prepared ledger in the place of another, which is kept: the old or the new, no mixture.

A WAL left beside the place would be replayed into whatever file takes it. So the old ledger is
first made one file; where that cannot be done because it is damaged, its WAL moves away with it.
"""

from __future__ import annotations

import contextlib
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from campaign.errors import SchemaError, StoreError
from campaign.store.copying import COMPANIONS, keep_aside, sync_file, sync_folder
from campaign.store.lineage import mark_copied
from campaign.store.opening import APPLICATION_ID, claims_to_be_ledger

_PATIENCE = 10.0


def refuse_foreign_place(db: Path) -> None:
    """Raise `SchemaError` if a sound database of somebody else lies there (a damaged file may be
    anything, and is kept)."""
    if not db.exists():
        return
    try:
        with closing(_open(db, "ro")) as conn:
            (application_id,) = conn.execute("PRAGMA application_id").fetchone()
            (tables,) = conn.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        return
    if tables and application_id != APPLICATION_ID:
        raise SchemaError(f"{db} is an SQLite database, but not a campaign ledger: --db names it")


def put_in_place(draft: Path, db: Path, aside: Path, made: str) -> list[Path]:
    """Move `draft` to `db`; what lies there is kept as `aside`, marked as a copy made `made`.

    Returns the files kept. Raises `StoreError`, with everything as it was, while somebody reads the
    old one.
    """
    kept: list[Path] = []
    sync_file(draft)
    if not _made_one_file(db):
        kept += move_companions(db, aside)
    if db.exists():
        keep_aside(db, aside)
        kept.insert(0, aside)
    draft.replace(db)
    sync_folder(db.parent)
    if aside in kept and claims_to_be_ledger(aside):
        # damaged further in: then it cannot be taken for a ledger to go on with anyway
        with contextlib.suppress(sqlite3.Error), closing(_open(aside, "rw")) as conn:
            mark_copied(conn, made)
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


def _made_one_file(db: Path) -> bool:
    """Take the WAL into the database and do without one; False where there is no database to do so
    with."""
    # opened for writing, what cannot be read as a database would lose its WAL
    if not db.exists() or not claims_to_be_ledger(db):
        return False
    try:
        with closing(_open(db, "rw")) as conn:
            (mode,) = conn.execute("PRAGMA journal_mode = DELETE").fetchone()
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise StoreError(f"{db} is being read by another process: try again") from error
        return False
    except sqlite3.DatabaseError:
        return False
    return str(mode) == "delete"


def _open(db: Path, mode: str) -> sqlite3.Connection:
    conn = sqlite3.connect(
        f"file:{quote(str(db))}?mode={mode}", uri=True, isolation_level=None, timeout=_PATIENCE
    )
    conn.row_factory = sqlite3.Row
    return conn
