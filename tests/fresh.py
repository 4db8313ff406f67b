"""New ledgers for tests: migrated once in a process, copied for each world that wants one.

Migrating an empty file takes twenty milliseconds of CPU, and thousands of tests begin with one. A
new ledger holds nothing of chance, so a copy is what migrating would have made; how it is made is
tested with `open_ledger` itself (tests/store/test_opening.py, test_migrations.py).
"""

from __future__ import annotations

import functools
import sqlite3
import tempfile
from pathlib import Path

from campaign.store.opening import open_ledger


def open_fresh(db: Path, optouts: Path) -> sqlite3.Connection:
    """As `open_ledger`; a ledger that is not there yet comes to be as a copy."""
    if not db.exists():
        db.touch(mode=0o600)
        db.write_bytes(_new_ledger())
    return open_ledger(db, optouts)


@functools.cache
def _new_ledger() -> bytes:
    """What a new ledger's file holds, its WAL folded in."""
    with tempfile.TemporaryDirectory(prefix="campaign-fresh-") as folder:
        db = Path(folder) / "campaign.db"
        open_ledger(db, Path(folder) / "optouts.db").close()
        return db.read_bytes()
