"""What can be read, without writing, of databases that other processes write."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

_LOOK_SECONDS = 0.02


def ask(path: Path, question: str) -> str | None:
    """The first column of the first row; None for none, or while there is no such table."""
    try:
        conn = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    except sqlite3.OperationalError:
        return None
    try:
        row = conn.execute(question).fetchone()
    except sqlite3.OperationalError:
        return None
    finally:
        conn.close()
    return None if row is None else str(row[0])


def bound_receiver(folder: Path) -> tuple[int, int] | None:
    """(process id, port) of the receiver of the ledger in `folder`; None before it listens."""
    told = ask(
        folder / "campaign.inbox.db",
        "SELECT group_concat(value, ' ') FROM (SELECT value FROM meta"
        " WHERE key IN ('listen_pid', 'listen_port') ORDER BY key)",
    )
    if told is None or " " not in told:
        return None
    pid, port = told.split()
    return int(pid), int(port)


def wait_until(done: Callable[[], bool], seconds: float) -> None:
    """RuntimeError if it does not come true in time."""
    until = time.monotonic() + seconds
    while not done():
        if time.monotonic() > until:
            raise RuntimeError(f"waited for {seconds:g} s in vain")
        time.sleep(_LOOK_SECONDS)
