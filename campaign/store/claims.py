"""Claiming: waiting recipients become tasks, written down before their first byte is sent.

The transaction of a claim checks the engine's epoch, the campaign's state, opt-outs, blocklists and
the frequency cap, allocates the tids and stores every task object as it will be posted. Only after
its commit may a byte go on the wire.
"""

from __future__ import annotations

import random
import sqlite3
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from campaign.planner.places import with_failure
from campaign.planner.split import PlannedTask, split
from campaign.planner.states import CampaignState, RecipientState, TaskState
from campaign.store.charging import charge
from campaign.store.journal import Tally, check_epoch, decide, read_meta, write_meta
from campaign.store.lineage import LARGEST_TID, refuse_old
from campaign.store.picking import ClaimOrder, anybody_waits, pick
from campaign.store.suppression import UNWANTED
from campaign.store.unproved import back_to_unknown, is_unproved
from campaign.store.usage import give_back

_ALL = sys.maxsize
_TID_REST_MS = 30 * 86_400_000
"""A tid is not used again on a gateway within 30 days: a late report may still name it."""

CLOSED_BY_REPORTS = "every attempt final"
"""The verdict of a task that nothing is left to be told of."""

Build = Callable[[int, int, Sequence[str], str | None], tuple[bytes, str]]
"""(tid, port, numbers, text) -> the task object's bytes and their sha256."""


class ClaimedTask(NamedTuple):
    """A task whose intent is committed. `body` goes on the wire byte for byte; `parts` is how many
    SMS it puts on air."""

    id: int
    campaign_id: int
    tid: int
    port: int
    size: int
    body: bytes
    parts: int
    lane: int = 0


@dataclass(frozen=True)
class Claim:
    """What a claim came to: tasks, or why there are none."""

    tasks: Sequence[ClaimedTask] = ()
    skipped: int = 0
    """Recipients met on the way who must not be written to: others may wait behind them."""
    in_vain: bool = False
    """Somebody waits, but nobody of them may go to these ports; nobody was skipped."""
    too_large: bool = False
    """… since the SIMs have no room for what they are to get."""
    halted: bool = False
    """The campaign no longer runs: whoever halted it rings."""


def start_tids(conn: sqlite3.Connection, rng: random.Random) -> None:
    """Draw where this ledger's tids begin, once: copies and other ledgers draw elsewhere."""
    if read_meta(conn, "next_tid") is None:
        write_meta(conn, {"next_tid": str(rng.randrange(1, LARGEST_TID))})


def claim_due(conn: sqlite3.Connection, order: ClaimOrder, build: Build) -> Claim:
    """Claim waiting recipients into tasks with committed intent, in primary-key order.

    Recipients met on the way who must not be written to (store.suppression) are skipped. Claims
    nothing when the campaign no longer runs; raises `StaleEpoch` when the ledger was taken over,
    `OldLedger` when it turned out to be an older copy.
    """
    check_epoch(conn, order.epoch)
    refuse_old(conn)
    state = conn.execute(
        """
        SELECT state, CASE WHEN sampled = 0 THEN sample_end END AS last FROM campaigns WHERE id = ?
        """,
        (order.campaign_id,),
    ).fetchone()
    if state is None or state["state"] not in (CampaignState.RUNNING, CampaignState.WAITING):
        return Claim(halted=True)
    tally = Tally()
    _wake_due(conn, order.campaign_id, order.now_ms, tally)
    planned, skipped = _plan(conn, order, state["last"], tally)
    within = charge(conn, order.sims, planned, order.now_ms)
    claimed = _write_down(conn, order, within, build)
    tally.moved(
        order.campaign_id,
        RecipientState.PENDING,
        RecipientState.ASSIGNED,
        sum(task.size for task in claimed),
    )
    tally.store(conn)
    in_vain = not claimed and not skipped and anybody_waits(conn, order, state["last"])
    return Claim(claimed, skipped, in_vain, in_vain and bool(planned))


def _plan(
    conn: sqlite3.Connection, order: ClaimOrder, last: int | None, tally: Tally
) -> tuple[list[PlannedTask], int]:
    """The tasks of one POST, and how many were skipped on the way.

    The ports may have room for many times what one POST takes, and how many that are depends on
    their texts: who is read is read again by the next claim if this one leaves them out.
    """
    picked = pick(conn, order, last, tally, order.most_tasks)
    skipped = picked.skipped
    texts = {recipient.text for recipient in picked.recipients}
    if picked.more and len(texts) < len(picked.recipients):
        # the same for all: full tasks, a port each at least; some alike: whoever fills their tasks
        full = max(order.most_tasks, len(order.grants)) * order.task_size
        picked = pick(conn, order, last, tally, full if len(texts) == 1 else _ALL)
        skipped += picked.skipped
    planned = split(
        picked.recipients,
        order.grants,
        order.task_size,
        only_place=order.only_place,
        reach=order.reach,
    )
    return planned[: order.most_tasks], skipped


def wake_due(conn: sqlite3.Connection, campaign_id: int, now_ms: int) -> None:
    """Whoever was held and is due waits for a port again."""
    tally = Tally()
    _wake_due(conn, campaign_id, now_ms, tally)
    tally.store(conn)


def _wake_due(conn: sqlite3.Connection, campaign_id: int, now_ms: int, tally: Tally) -> None:
    woken = conn.execute(
        """
        UPDATE recipients SET state = 'pending', due_ms = NULL, cause = NULL
        WHERE campaign_id = ? AND state = 'held' AND due_ms <= ?
        """,
        (campaign_id, now_ms),
    ).rowcount
    if woken:
        tally.moved(campaign_id, RecipientState.HELD, RecipientState.PENDING, woken)


def _write_down(
    conn: sqlite3.Connection, order: ClaimOrder, planned: Sequence[PlannedTask], build: Build
) -> list[ClaimedTask]:
    if not planned:
        return []
    (last,) = conn.execute(
        "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'tasks'"
    ).fetchone()
    tids = _allocate(conn, order.gateway_id, len(planned), order.now_ms)
    claimed: list[ClaimedTask] = []
    rows = []
    attempts = []
    assigned: list[tuple[int, str, int, int]] = []
    for task_id, (tid, task) in enumerate(zip(tids, planned, strict=True), last + 1):
        port, parts, lane = task.port, task.parts, task.lane
        numbers = [recipient.number for recipient in task.recipients]
        body, digest = build(tid, port, numbers, task.text)
        claimed.append(
            ClaimedTask(task_id, order.campaign_id, tid, port, len(numbers), body, parts, lane)
        )
        sim = order.sims.get(port)
        rows.append(
            (
                task_id, order.campaign_id, order.gateway_id, tid, port, len(numbers), body,
                digest, order.boot_id, order.epoch, last + 1, order.now_ms,
                order.now_ms, lane, parts, None if sim is None else sim.sim, order.until.get(lane),
            )
        )  # fmt: skip
        named = str(port)
        for idx, recipient in enumerate(task.recipients, 1):
            attempts.append((task_id, idx, recipient.id))
            assigned.append((order.gateway_id, named, tid, recipient.id))
    conn.executemany(
        """
        INSERT INTO tasks (id, campaign_id, gateway_id, tid, port, state, size, body, sha256,
                           boot_id, epoch, post_id, posts, created_ms, intent_ms, lane, parts,
                           sim, until_ms)
        VALUES (?, ?, ?, ?, ?, 'intent', ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?)
        """,
        rows,
    )
    conn.executemany(
        "INSERT INTO attempts (task_id, idx, recipient_id, live) VALUES (?, ?, ?, 1)",
        attempts,
    )
    # in primary-key order: updates in random order cost many times as much
    assigned.sort(key=lambda row: row[3])
    conn.executemany(
        """
        UPDATE recipients SET state = 'assigned', attempts = attempts + 1, evidence = 'none',
            cause = NULL, code = NULL, reason = NULL, sent_at = NULL, iccid = NULL,
            gateway_id = ?, port = ?, tid = ?
        WHERE id = ?
        """,
        assigned,
    )
    return claimed


def _allocate(conn: sqlite3.Connection, gateway_id: int, count: int, now_ms: int) -> list[int]:
    tid = int(read_meta(conn, "next_tid") or 1)
    tids: list[int] = []
    while len(tids) < count:
        end = min(tid + count - len(tids), LARGEST_TID + 1)
        used = {
            row[0]
            for row in conn.execute(
                # index tasks_tid
                """
                SELECT tid FROM tasks WHERE gateway_id = ? AND tid >= ? AND tid < ?
                    AND (closed_ms IS NULL OR closed_ms > ?)
                """,
                (gateway_id, tid, end, now_ms - _TID_REST_MS),
            )
        }
        tids += [free for free in range(tid, end) if free not in used]
        tid = (end - 1) % LARGEST_TID + 1
    write_meta(conn, {"next_tid": str(tid)})
    return tids


def jump_tids(conn: sqlite3.Connection, rng: random.Random) -> None:
    """Leave a range that somebody else uses too (a first post was answered 13)."""
    write_meta(conn, {"next_tid": str(rng.randrange(1, LARGEST_TID))})


def reclaim_planned(
    conn: sqlite3.Connection,
    epoch: int,
    gateway_id: int,
    boot_id: str | None,
    now_ms: int,
    sending: Collection[int] | None = None,
    closed: Collection[tuple[int, int]] = (),
) -> list[ClaimedTask]:
    """Write down again what was never on the wire, under the same tids.

    Tasks of campaigns that may not send now (`sending`: those that may, None for all; `closed`:
    campaign and lane of those whose window is not open), and tasks that hold a number opted out,
    blocked or proved sent meanwhile, are released instead.
    """
    check_epoch(conn, epoch)
    refuse_old(conn)
    rows = conn.execute(
        f"""
        SELECT t.id, t.campaign_id, t.tid, t.port, t.size, t.body, t.parts, t.lane,
            c.state AS campaign_state,
            EXISTS (SELECT 1 FROM attempts AS a JOIN recipients AS r ON r.id = a.recipient_id
                    WHERE a.task_id = t.id AND (a.live = 0 OR {UNWANTED} IS NOT NULL)) AS stale
        FROM tasks AS t JOIN campaigns AS c ON c.id = t.campaign_id
        WHERE t.gateway_id = ? AND t.state = 'planned'
            AND t.closed_ms IS NULL -- said for the index tasks_live
        ORDER BY t.id
        """,
        (gateway_id,),
    ).fetchall()
    ready: list[ClaimedTask] = []
    for row in rows:
        if row["campaign_state"] == CampaignState.PAUSED:
            continue
        halted = sending is not None and row["campaign_id"] not in sending
        halted = halted or (row["campaign_id"], row["lane"]) in closed
        if row["stale"] or halted or row["campaign_state"] == CampaignState.CANCELLED:
            release(conn, row["id"], now_ms, "never on the wire")
            continue
        ready.append(
            ClaimedTask(
                row["id"],
                row["campaign_id"],
                row["tid"],
                row["port"],
                row["size"],
                row["body"],
                row["parts"],
                row["lane"],
            )
        )
    conn.executemany(
        """
        UPDATE tasks SET state = 'intent', intent_ms = ?, epoch = ?, boot_id = ?,
            posts = posts + 1 WHERE id = ?
        """,
        [(now_ms, epoch, boot_id, task.id) for task in ready],
    )
    return ready


def release(
    conn: sqlite3.Connection, task_id: int, now_ms: int, why: str, avoid: str | None = None
) -> int:
    """Close a task whose open attempts are proved unsent; its recipients wait again.

    Where the campaign was cancelled they are cancelled, where its deadline is over expired, or
    unknown as before if an earlier attempt of theirs is. Returns how many were released. The
    attempt is given back: it never was one.
    `avoid` ('gateway:port') is where they should not go next.
    """
    campaign = conn.execute(
        """
        SELECT c.id, c.state, c.deadline_ms FROM tasks AS t
        JOIN campaigns AS c ON c.id = t.campaign_id WHERE t.id = ?
        """,
        (task_id,),
    ).fetchone()
    state, reason = _released_to(campaign, now_ms)
    over = state is not RecipientState.PENDING
    give_back(conn, task_id)
    recipients = conn.execute(
        """
        SELECT a.recipient_id, r.avoid FROM attempts AS a JOIN recipients AS r
        ON r.id = a.recipient_id WHERE a.task_id = ? AND a.live = 1 ORDER BY a.recipient_id
        """,
        (task_id,),
    ).fetchall()
    conn.execute(
        "UPDATE attempts SET live = 0, reason = ? WHERE task_id = ? AND live = 1", (why, task_id)
    )
    unproved = {row[0] for row in recipients if over and is_unproved(conn, row[0])}
    conn.executemany(
        """
        UPDATE recipients SET state = ?, attempts = attempts - 1, gateway_id = NULL, port = NULL,
            tid = NULL, reason = ?, avoid = ? WHERE id = ?
        """,
        [
            (state, reason, with_failure(row[1], avoid) if avoid else row[1], row[0])
            for row in recipients
            if row[0] not in unproved
        ],
    )
    back_to_unknown(conn, sorted(unproved), reason or "")
    conn.executemany(
        "UPDATE recipients SET attempts = attempts - 1 WHERE id = ?", [(id_,) for id_ in unproved]
    )
    tally = Tally()
    tally.moved(campaign["id"], RecipientState.ASSIGNED, state, len(recipients) - len(unproved))
    tally.moved(campaign["id"], RecipientState.ASSIGNED, RecipientState.UNKNOWN, len(unproved))
    tally.store(conn)
    close(conn, task_id, now_ms, f"released: {why}")
    if recipients:
        decide(conn, now_ms, "release", why, campaign_id=campaign["id"], task_id=task_id)
    return len(recipients)


def _released_to(campaign: sqlite3.Row, now_ms: int) -> tuple[RecipientState, str | None]:
    """What recipients proved unsent become, and the reason they show."""
    if campaign["state"] == CampaignState.CANCELLED:
        return RecipientState.CANCELLED, "campaign cancelled"
    if campaign["deadline_ms"] is not None and now_ms >= campaign["deadline_ms"]:
        return RecipientState.EXPIRED, "the campaign's deadline is over"
    return RecipientState.PENDING, None


def close(conn: sqlite3.Connection, task_id: int, now_ms: int, verdict: str) -> None:
    """A task that can put nothing more on air, as far as can be known."""
    conn.execute(
        "UPDATE tasks SET state = ?, closed_ms = ?, verdict = ? WHERE id = ? AND state <> ?",
        (TaskState.CLOSED, now_ms, verdict, task_id, TaskState.CLOSED),
    )
