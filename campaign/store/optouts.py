"""The user's one opt-out store, shared by all ledgers of a user.

A small database of its own in rollback-journal mode: a ledger attaches it read-only, so that the
intent transaction itself sees every opt-out committed before it began.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database

from campaign.errors import StoreError
from campaign.store.trouble import told


@dataclass(frozen=True)
class OptOut:
    """One suppressed number (digits with country code); `source` is operator, import or inbound."""

    number: str
    at_ms: int
    source: str
    reason: str = ""


def create_optouts(path: Path) -> None:
    """Create the store if it is not there yet (0600), or finish a creation that was cut off.

    Opening it for writing also rolls back what a killed writer left, which those who attach it
    read-only could not. Raises `StoreError`, also for a file that is something else.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.touch(mode=0o600)
        with closing(_open(path)) as conn:
            tables = {row[0] for row in conn.execute("SELECT name FROM sqlite_master")}
            if tables and "optouts" not in tables:
                raise StoreError(f"{path} is an SQLite database, but not an opt-out store")
            conn.execute(
                """
                CREATE TABLE IF NOT EXISTS optouts (
                    number TEXT PRIMARY KEY
                        CHECK (number NOT GLOB '*[^0-9]*' AND length(number) >= 3),
                    at_ms INTEGER NOT NULL, source TEXT NOT NULL, reason TEXT NOT NULL
                ) STRICT, WITHOUT ROWID
                """
            )
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"cannot open the opt-out store {path}: {told(error)}") from error


def add_optouts(path: Path, entries: Iterable[OptOut]) -> int:
    """Store opt-outs durably; returns how many are new (the first entry of a number stays).

    All or none: raises `StoreError` for an entry whose number is not digits.
    """
    create_optouts(path)
    try:
        with closing(_open(path)) as conn:
            before = conn.total_changes
            conn.execute("BEGIN IMMEDIATE")
            conn.executemany(
                # not OR IGNORE: that would drop a malformed number in silence
                "INSERT INTO optouts VALUES (?, ?, ?, ?) ON CONFLICT (number) DO NOTHING",
                ((e.number, e.at_ms, e.source, e.reason) for e in entries),
            )
            conn.execute("COMMIT")
            return conn.total_changes - before
    except sqlite3.Error as error:
        raise StoreError(f"cannot write the opt-out store {path}: {told(error)}") from error


def remove_optout(path: Path, number: str) -> bool:
    """Forget one opt-out; False if the number had none."""
    create_optouts(path)
    try:
        with closing(_open(path)) as conn:
            return conn.execute("DELETE FROM optouts WHERE number = ?", (number,)).rowcount > 0
    except sqlite3.Error as error:
        raise StoreError(f"cannot write the opt-out store {path}: {told(error)}") from error


def list_optouts(path: Path) -> Iterator[OptOut]:
    """Every opt-out, by number."""
    if not path.exists():
        return
    create_optouts(path)
    with closing(_open(path)) as conn:
        for row in Database(conn, execute_plugins=False)["optouts"].rows_where(order_by="number"):
            yield OptOut(row["number"], row["at_ms"], row["source"], row["reason"])


def _open(path: Path) -> sqlite3.Connection:
    conn = sqlite3.connect(path, isolation_level=None, timeout=10.0)
    conn.execute("PRAGMA synchronous = FULL")
    return conn
