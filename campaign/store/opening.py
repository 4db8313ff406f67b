"""Opening a ledger: pragmas, migrations, the attached opt-out store, owner-only files."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from urllib.parse import quote

from campaign.errors import SchemaError, StoreError
from campaign.store.health import applied_migrations, missing_migrations
from campaign.store.migrating import Migrated, bring_up_to_date, refuse_old_schema
from campaign.store.optouts import create_optouts
from campaign.store.schema import ledger_migrations
from campaign.store.trouble import told

APPLICATION_ID = 0x43414D50  # "CAMP": told apart from any other SQLite file
_BUSY_SECONDS = 10.0


def open_ledger(db: Path, optouts: Path) -> sqlite3.Connection:
    """Open (or create) a ledger for its one writer; schema brought up to date, a copy kept first.

    WAL with `synchronous=FULL`: a commit that returned survives a power cut, since a lost intent
    would be a double send. Raises `SchemaError` for a foreign or later file, `StoreError` when
    the file cannot be opened or written.
    """
    conn, _ = open_migrated(db, optouts)
    return conn


def open_migrated(
    db: Path, optouts: Path, *, keep_copy: bool = True
) -> tuple[sqlite3.Connection, Migrated]:
    """As `open_ledger`, and what it took to bring it up to date. `keep_copy=False`: the caller has
    the ledger as it was elsewhere."""
    _check_place(db)
    create_optouts(optouts)
    conn: sqlite3.Connection | None = None
    try:
        if not db.exists():
            db.touch(mode=0o600)
        conn = _connect(f"file:{quote(str(db))}?mode=rw")
        _refuse_foreign(conn, db)
        conn.execute("PRAGMA journal_mode = WAL")
        conn.execute("PRAGMA synchronous = FULL")
        conn.execute("PRAGMA foreign_keys = ON")
        # The default of 1000 pages checkpoints in the middle of every large import.
        conn.execute("PRAGMA wal_autocheckpoint = 4000")
        # Numbers come in any order, and the default of 2 MB holds little of their index.
        conn.execute("PRAGMA cache_size = -16000")
        conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        migrated = bring_up_to_date(conn, db, keep_copy=keep_copy)
        attach_optouts(conn, optouts)
    except (OSError, sqlite3.Error) as error:
        if conn is not None:
            conn.close()
        raise StoreError(f"cannot open the ledger {db}: {told(error)}") from error
    except StoreError:
        if conn is not None:
            conn.close()
        raise
    return conn, migrated


def open_reader(
    db: Path, optouts: Path | None = None, *, any_schema: bool = False
) -> sqlite3.Connection:
    """Open an existing ledger read-only (any number of readers beside the one writer).

    Raises `SchemaError` for a ledger of an earlier version, unless `any_schema`: then the caller
    asks only what every version can answer.
    """
    if not db.exists():
        raise StoreError(
            f"there is no ledger at {db}: launch a campaign first, or name it with --db"
        )
    conn: sqlite3.Connection | None = None
    try:
        conn = _connect(f"file:{quote(str(db))}?mode=ro")
        _refuse_foreign(conn, db)
        if not any_schema:
            refuse_old_schema(conn, db)
        if optouts is not None and optouts.exists():
            attach_optouts(conn, optouts)
    except sqlite3.Error as error:
        if conn is not None:
            conn.close()
        raise StoreError(f"cannot read the ledger {db}: {told(error)}") from error
    except StoreError:
        if conn is not None:
            conn.close()
        raise
    return conn


def claims_to_be_ledger(path: Path) -> bool:
    """Whether a file says that it is a ledger, of whatever version and however sound."""
    try:
        with contextlib.closing(_connect(f"file:{quote(str(path))}?mode=ro")) as conn:
            return is_marked(conn)
    except sqlite3.Error:
        return False


def is_marked(conn: sqlite3.Connection) -> bool:
    """Whether this database says that it is a ledger; `sqlite3.Error` where it cannot be read."""
    (application_id,) = conn.execute("PRAGMA application_id").fetchone()
    return bool(application_id == APPLICATION_ID)


def is_unfinished(conn: sqlite3.Connection) -> bool:
    """Whether a ledger's creation was cut off: it is marked as one, migrations are missing, and
    nobody used it yet. An empty file may be anything's, and is none."""
    if not is_marked(conn) or not missing_migrations(conn):
        return False
    tables = {row[0] for row in conn.execute("SELECT name FROM sqlite_master")}
    return not any(
        conn.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()
        for table in ("gateways", "campaigns")
        if table in tables
    )


def attach_optouts(conn: sqlite3.Connection, optouts: Path) -> None:
    """Make the user's opt-out store visible (read-only) inside this connection's transactions."""
    conn.execute("ATTACH DATABASE ? AS optouts", (f"file:{quote(str(optouts))}?mode=ro",))


def _connect(uri: str) -> sqlite3.Connection:
    conn = sqlite3.connect(
        uri, uri=True, isolation_level=None, timeout=_BUSY_SECONDS, check_same_thread=False
    )
    conn.row_factory = sqlite3.Row
    return conn


def _check_place(db: Path) -> None:
    if db.is_dir():
        raise StoreError(f"{db} is a directory: --db names the ledger file")
    try:
        db.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make the folder {db.parent}: {error.strerror}") from error


def _refuse_foreign(conn: sqlite3.Connection, db: Path) -> None:
    try:
        marked = is_marked(conn)
        (tables,) = conn.execute("SELECT count(*) FROM sqlite_master").fetchone()
        applied = applied_migrations(conn)
    except sqlite3.OperationalError:
        raise  # it cannot be read now, which says nothing of what it is
    except sqlite3.DatabaseError as error:
        conn.close()
        raise SchemaError(f"{db} is not a ledger: {error}") from error
    known = {migration.name for migration in ledger_migrations._migrations}
    if tables and not marked:
        conn.close()
        raise SchemaError(f"{db} is an SQLite database, but not a campaign ledger")
    if applied - known:
        conn.close()
        raise SchemaError(
            f"{db} was written by a later version of campaign: upgrade this one first"
        )
