"""Backup copies of a ledger: made from a reader's connection, counted, looked over, marked."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from campaign.errors import StoreError
from campaign.store.copying import copy_into_place
from campaign.store.health import damage
from campaign.store.lineage import mark_copied
from campaign.store.migrating import is_begun
from campaign.store.opening import open_reader

_COUNTED = ("campaigns", "recipients", "tasks", "gateways")


def copy_ledger(db: Path, place: Path, made: str) -> dict[str, int]:
    """Copy a ledger of any version to the new file `place`; returns its rows by table.

    The copy says of itself that it is one, so that no engine sends with it. Raises `StoreError`
    where there is no ledger, it cannot be copied, or the copy is not whole.
    """
    with closing(open_reader(db, any_schema=True)) as conn:
        if not is_begun(conn):
            raise StoreError(f"there is nothing in {db} yet")
        try:
            copy_into_place(conn, place, lambda copy: mark_copied(copy, made))
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"cannot copy {db} to {place}: {error}") from error
    with closing(open_reader(place, any_schema=True)) as copy:
        wrong = damage(copy)
        if wrong:
            raise StoreError(f"{db} is not whole, nor is its copy: {wrong[0]}")
        return {
            table: int(copy.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
            for table in _COUNTED
        }


def examine(db: Path) -> None:
    """Raise `StoreError` unless this is a whole ledger of this version or an earlier one."""
    with closing(open_reader(db, any_schema=True)) as conn:
        if not is_begun(conn):
            raise StoreError(f"there is nothing in {db}")
        wrong = damage(conn)
        if wrong:
            raise StoreError(f"{db} is damaged, another copy is needed: {wrong[0]}")


def draft_ledger(source: Path, place: Path) -> None:
    """Copy a ledger to `place` as it is, to be worked on there."""
    with closing(open_reader(source, any_schema=True)) as conn:
        try:
            copy_into_place(conn, place)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"cannot copy {source} to {place}: {error}") from error
