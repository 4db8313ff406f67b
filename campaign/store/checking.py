"""Whether a ledger keeps its own laws, all campaigns together: asked read-only, of one snapshot."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from campaign.store.audit import conservation, contradicting, live_though_closed
from campaign.store.health import damage, journal_of, missing_migrations
from campaign.store.journal import read_meta
from campaign.store.lineage import why_old
from campaign.store.migrating import is_begun

FULL = 2
"""`PRAGMA synchronous`: a commit that returned survives a power cut."""


@dataclass(frozen=True)
class Law:
    """One law and whether it holds; `detail` says what was found."""

    name: str
    holds: bool
    detail: str = ""


@dataclass(frozen=True)
class Folded:
    """Up to where the ledger has folded which inbox."""

    file_id: str | None
    cursor: int


def ledger_laws(conn: sqlite3.Connection) -> tuple[list[Law], Folded | None]:
    """The laws of one ledger in a fixed order, and how far it has folded its inbox (None where
    there is no ledger to ask)."""
    conn.execute("BEGIN")  # one snapshot, whatever a running engine commits meanwhile
    try:
        laws = [_schema(conn), _whole(conn), durable("the ledger", *journal_of(conn))]
        if not is_begun(conn) or not laws[1].holds:
            return laws, None
        laws += [law(conn) for law in _LAWS]
        folded = Folded(read_meta(conn, "inbox_file"), int(read_meta(conn, "inbox_cursor") or 0))
        return laws, folded
    finally:
        conn.execute("ROLLBACK")


def durable(what: str, mode: str, synchronous: int) -> Law:
    """A database written ahead and synced at every commit."""
    detail = f"journal mode {mode}, synchronous {synchronous}"
    return Law(
        f"a commit of {what} survives a power cut", mode == "wal" and synchronous >= FULL, detail
    )


def _schema(conn: sqlite3.Connection) -> Law:
    missing = missing_migrations(conn)
    detail = f"campaign db migrate applies {', '.join(missing)}" if missing else "up to date"
    return Law("the ledger's schema is this version's", not missing, detail)


def _whole(conn: sqlite3.Connection) -> Law:
    found = damage(conn)
    return Law("the ledger is whole", not found, "; ".join(found[:3]))


def _tallies(conn: sqlite3.Connection) -> Law:
    found = conservation(conn)
    holds = found.verdict == "holds"
    return Law("counts are the sums of recipients", holds, "" if holds else found.detail)


def _live_attempts(conn: sqlite3.Connection) -> Law:
    wrong = contradicting(conn)
    detail = f"{wrong} recipients contradict" if wrong else ""
    return Law("in flight means exactly one live attempt", not wrong, detail)


def _closed_tasks(conn: sqlite3.Connection) -> Law:
    wrong = live_though_closed(conn)
    return Law("a closed task has no live attempt", not wrong, f"{wrong} are live" if wrong else "")


def _may_send(conn: sqlite3.Connection) -> Law:
    old = why_old(conn)
    detail = "" if old is None else f"{old}: campaign db restore"
    return Law("this is the ledger that sent last", old is None, detail)


_LAWS: tuple[Callable[[sqlite3.Connection], Law], ...] = (
    _tallies,
    _live_attempts,
    _closed_tasks,
    _may_send,
)
