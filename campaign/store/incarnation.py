"""A copy of a ledger becomes a ledger again: a new incarnation that repeats nothing.

What the ledger did after the copy was made is not in it. Whoever had no final state then may have
been sent to since, and becomes unknown(restored); evidence that still comes in raises them. Tids
begin elsewhere, far from those the lost ledger may have given out.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from campaign.planner.states import CampaignState, RecipientState, UnknownCause
from campaign.store.campaigns import list_campaigns, set_campaign_state
from campaign.store.journal import Tally, begin_epoch, decide, read_meta, write_meta
from campaign.store.lineage import AHEAD, LARGEST_TID, ahead_of, begin_lineage
from campaign.store.outcomes import close_unknown

R = RecipientState
_OPEN = (R.PENDING, R.HELD, R.ASSIGNED)
_WHY = "restored from a copy: it may have been sent since the copy was made"
_BY = "operator"


@dataclass(frozen=True)
class Traces:
    """What is known of how far a ledger came: the next tid it would give out, and its epoch."""

    next_tid: int | None
    epoch: int


@dataclass(frozen=True)
class Incarnation:
    """What became of a copy; `unknown` are recipients by campaign, only where there are any."""

    id: str
    epoch: int
    unknown: dict[str, int]


def traces(conn: sqlite3.Connection) -> Traces:
    """How far this ledger came."""
    tid = read_meta(conn, "next_tid")
    return Traces(None if tid is None else int(tid), int(read_meta(conn, "epoch") or 0))


def begin_incarnation(
    conn: sqlite3.Connection,
    now_ms: int,
    incarnation: str,
    rng: random.Random,
    replaced: Traces | None,
) -> Incarnation:
    """Turn a copy into a ledger that may send, in the caller's transaction.

    `replaced`: of the ledger that it takes the place of, as far as that can be read.
    """
    known = [trace for trace in (traces(conn), replaced) if trace is not None]
    _close_tasks(conn, now_ms)
    unknown: dict[str, int] = {}
    for campaign in list_campaigns(conn):
        moved = _give_up(conn, now_ms, campaign.id)
        if moved:
            unknown[campaign.name] = moved
        if campaign.state is CampaignState.IMPORTING:
            why = (
                "its import was under way when the copy was made: rows that came later are not here"
            )
            set_campaign_state(conn, now_ms, campaign.id, CampaignState.RUNNING, why, by=_BY)
    (last_task,) = conn.execute(
        "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'tasks'"
    ).fetchone()
    begin_lineage(conn, last_task)
    start = _draw_far_from(rng, [t.next_tid for t in known if t.next_tid is not None])
    write_meta(
        conn,
        {
            "incarnation": incarnation,
            "epoch": str(max(trace.epoch for trace in known)),
            "next_tid": str(start),
        },
    )
    epoch = begin_epoch(conn)
    total = sum(unknown.values())
    decide(
        conn, now_ms, "restore", f"incarnation {incarnation}, {total} unknown (restored)", by=_BY
    )
    return Incarnation(incarnation, epoch, unknown)


def _close_tasks(conn: sqlite3.Connection, now_ms: int) -> None:
    """Whatever was in flight. A receipt that waits for its detail is still proof."""
    for row in conn.execute("SELECT id FROM tasks WHERE closed_ms IS NULL ORDER BY id").fetchall():
        close_unknown(conn, now_ms, row["id"], UnknownCause.RESTORED, _WHY)


def _give_up(conn: sqlite3.Connection, now_ms: int, campaign_id: int) -> int:
    """Everybody who still waits becomes unknown; returns how many are unknown (restored) now."""
    tally = Tally()
    waiting = 0
    for state in _OPEN:
        moved = conn.execute(
            """
            UPDATE recipients SET state = 'unknown', cause = 'restored', evidence = 'none',
                due_ms = NULL, code = NULL, reason = ?
            WHERE campaign_id = ? AND state = ?
            """,
            (_WHY, campaign_id, state),
        ).rowcount
        if moved:
            tally.moved(campaign_id, state, R.UNKNOWN, moved)
        waiting += moved
    tally.store(conn)
    if waiting:
        why = f"{waiting} unknown (restored): {_WHY}"
        decide(conn, now_ms, "unknown", why, campaign_id=campaign_id, by=_BY)
    (unknown,) = conn.execute(
        "SELECT count(*) FROM recipients WHERE campaign_id = ? AND state = 'unknown'"
        " AND cause = 'restored'",
        (campaign_id,),
    ).fetchone()
    return int(unknown)


def _draw_far_from(rng: random.Random, others: Iterable[int]) -> int:
    """A start whose neighbourhood no report of the lost incarnation can name."""
    known = list(others)
    while True:
        tid = rng.randrange(1, LARGEST_TID)
        if all(min(ahead_of(tid, o), ahead_of(o, tid)) > 2 * AHEAD for o in known):
            return tid
