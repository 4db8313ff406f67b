"""Whether this ledger is the one that sent last, or an older copy of it.

A copy of a ledger knows nothing of what was sent after it was made: sending on with it would send
again. Copies made by us say so of themselves (`copied`). A plain copy of the files gives itself
away by the inbox: a report names a tid that this ledger would only give out next (`overtaken`).
Either stops the engine until `campaign db restore` has made a new incarnation of it.
"""

from __future__ import annotations

import shlex
import sqlite3

from campaign.errors import OldLedger
from campaign.store.journal import decide, read_meta, write_meta

LARGEST_TID = 2**31 - 1
"""Firmware keeps a signed 32-bit integer."""

AHEAD = 1_000_000
"""A tid less than this ahead of the next one was given out by a later state of this ledger; one
further away is a stranger's, who drew it at random."""

_COPIED = "copied"
_OVERTAKEN = "overtaken"
_RESTORED_TASK = "restored_task"


def ahead_of(following: int, tid: int) -> int:
    """How many tids after the next one, wrapping in 1..2**31-1."""
    return (tid - following) % LARGEST_TID


def mark_copied(conn: sqlite3.Connection, made: str) -> None:
    """This file is a copy, made then (RFC 3339): nothing may be sent with it as it is."""
    write_meta(conn, {_COPIED: made})


def notice_overtaken(conn: sqlite3.Connection, now_ms: int, gateway_id: int, tid: int) -> None:
    """A report names a tid that no gateway of ours was given: is it one of our future?"""
    following = read_meta(conn, "next_tid")
    if following is None or read_meta(conn, _OVERTAKEN) is not None:
        return
    ahead = ahead_of(int(following), tid)
    if ahead < AHEAD:
        why = (
            f"a report names tid {tid}, {ahead} after the next one ({following}) of this ledger:"
            " this is an older copy"
        )
        write_meta(conn, {_OVERTAKEN: why})
        decide(conn, now_ms, "alarm", why, gateway_id=gateway_id)


def why_old(conn: sqlite3.Connection) -> str | None:
    """Why nothing may be sent with this ledger; None if it may be."""
    made = read_meta(conn, _COPIED)
    if made is not None:
        return f"this is a copy of a ledger, made {made}"
    return read_meta(conn, _OVERTAKEN)


def refuse_old(conn: sqlite3.Connection) -> None:
    """Raise `OldLedger`, with what to do, unless this ledger may send."""
    why = why_old(conn)
    if why is None:
        return
    (db,) = conn.execute("SELECT file FROM pragma_database_list WHERE name = 'main'").fetchone()
    command = shlex.join(["campaign", "--db", str(db), "db", "restore", str(db)])
    raise OldLedger(
        f"{why}; whom it would send to next may have been sent to since, so nothing is sent."
        f" Make it a ledger to go on with: {command}"
    )


def begin_lineage(conn: sqlite3.Connection, last_task: int) -> None:
    """From here on it is a ledger of its own; tasks up to `last_task` are of the one before."""
    conn.execute("DELETE FROM meta WHERE key IN (?, ?)", (_COPIED, _OVERTAKEN))
    write_meta(conn, {_RESTORED_TASK: str(last_task)})


def is_before_restore(conn: sqlite3.Connection, task_id: int) -> bool:
    """Whether a task is of the incarnation before, which may have done more for its recipients
    than this ledger knows."""
    return task_id <= int(read_meta(conn, _RESTORED_TASK) or 0)
