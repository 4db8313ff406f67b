"""Outcomes: what reports, receipts and proofs do to attempts and recipients.

Every function here is called inside the transaction that also moves the inbox cursor, so that
evidence is applied exactly once however often it arrives.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from campaign.planner.reconcile import (
    Conclusion,
    Counters,
    Places,
    TaskEvidence,
    conclude,
    reconcile,
)
from campaign.planner.states import (
    RecipientState,
    TaskState,
    UnknownCause,
)
from campaign.protocol.messages import TaskReport
from campaign.store.applying import AfterFailure, Applier, Folded, ReportedTask
from campaign.store.claims import CLOSED_BY_REPORTS, close
from campaign.store.journal import Tally, decide, incident
from campaign.store.lineage import notice_overtaken
from campaign.store.policies import apply_policy
from campaign.store.receipts import claim_parked

R = RecipientState


def fold_report(
    conn: sqlite3.Connection,
    now_ms: int,
    gateway_id: int,
    report: TaskReport,
    after_failure: Callable[[int], AfterFailure],
    folded: Folded,
) -> None:
    """Apply one task's report, whatever its order or age (spec §6.3.2)."""
    task = _find(conn, gateway_id, report.tid)
    if task is None:
        _record_stranger(conn, now_ms, gateway_id, report.tid)
        return
    if task.state == TaskState.PLANNED:
        _record_on_the_wire(conn, now_ms, task)
    if task.doubt == UnknownCause.COLLISION:
        incident(
            conn, now_ms, "anomaly", f"tid {report.tid} is used by another system as well",
            gateway_id=gateway_id, task_id=task.id,
        )  # fmt: skip
        return
    conn.execute(
        """
        UPDATE tasks SET news_ms = ?,
            state = CASE WHEN state IN ('intent', 'doubt') THEN 'accepted' ELSE state END,
            accepted_ms = coalesce(accepted_ms, ?), doubt = NULL
        WHERE id = ? AND state <> 'closed'
        """,
        (now_ms, now_ms, task.id),
    )
    rows = _attempts(conn, task.id)
    result = reconcile(
        Places([row["number"] for row in rows]), _evidence(rows, task.counters), report
    )
    for conflict in (*result.conflicts, *(f"row not understood: {row}" for row in report.odd)):
        incident(
            conn, now_ms, "anomaly", conflict, campaign_id=task.campaign_id,
            gateway_id=gateway_id, task_id=task.id,
        )  # fmt: skip
    if result.evidence.counters is not None and result.evidence.counters != task.counters:
        counters = result.evidence.counters
        conn.execute(
            "UPDATE tasks SET c_sending = ?, c_sent = ?, c_failed = ?, c_unsent = ? WHERE id = ?",
            (counters.sending, counters.sent, counters.failed, counters.unsent, task.id),
        )
    tally = Tally()
    applier = Applier(
        conn, now_ms, task, tally, after_failure(task.campaign_id), folded, result.evidence.told
    )
    for settled in result.settled:
        applier.apply(rows[settled.idx - 1], settled)
    applier.flush(rows)
    tally.store(conn)
    claim_parked(conn, gateway_id, task.id)
    folded.waits_again = folded.waits_again or bool(applier.timed_out)
    apply_policy(conn, now_ms, task.campaign_id, gateway_id, applier.timed_out)
    risen = {settled.idx for settled in result.settled}
    open_left = any(row["outcome"] is None and row["idx"] not in risen for row in rows)
    if task.state != TaskState.CLOSED and not open_left:
        close(conn, task.id, now_ms, CLOSED_BY_REPORTS)
        folded.closed.append(task.id)


def _record_on_the_wire(conn: sqlite3.Connection, now_ms: int, task: ReportedTask) -> None:
    """A report of a task that was taken for never sent: its device has it, and it is not offered
    again. So it is when an older copy of the ledger was put in place, or a device misled us."""
    conn.execute("UPDATE tasks SET state = 'intent' WHERE id = ?", (task.id,))
    incident(
        conn, now_ms, "anomaly", "reported, though it was taken for never on the wire",
        campaign_id=task.campaign_id, gateway_id=task.gateway_id, task_id=task.id,
    )  # fmt: skip


def _record_stranger(conn: sqlite3.Connection, now_ms: int, gateway_id: int, tid: int) -> None:
    """A report that is nobody's: of another gateway's task, or of no task we know."""
    elsewhere = conn.execute(
        # gateway by gateway, so that index tasks_tid serves
        """
        SELECT 1 FROM gateways AS g JOIN tasks AS t ON t.gateway_id = g.id AND t.tid = ?
        WHERE g.id <> ? LIMIT 1
        """,
        (tid, gateway_id),
    ).fetchone()
    kind = "orphan" if elsewhere is None else "anomaly"
    detail = f"report for tid {tid}, " + (
        "which is unknown" if elsewhere is None else "which belongs to another gateway"
    )
    incident(conn, now_ms, kind, detail, gateway_id=gateway_id)
    if elsewhere is None:
        notice_overtaken(conn, now_ms, gateway_id, tid)


def _find(conn: sqlite3.Connection, gateway_id: int, tid: int) -> ReportedTask | None:
    row = conn.execute(
        # index tasks_tid; the newest wins should a tid ever come round again
        """
        SELECT id, campaign_id, gateway_id, port, size, state, doubt, fence, c_sending, c_sent,
            c_failed, c_unsent, verdict
        FROM tasks WHERE gateway_id = ? AND tid = ? ORDER BY id DESC LIMIT 1
        """,
        (gateway_id, tid),
    ).fetchone()
    return None if row is None else as_task(row)


def as_task(row: sqlite3.Row) -> ReportedTask:
    """A row of `tasks`, as far as its reports concern it."""
    counters = (
        None
        if row["c_sent"] is None
        else Counters(row["c_sending"], row["c_sent"], row["c_failed"], row["c_unsent"])
    )
    return ReportedTask(
        row["id"], row["campaign_id"], row["gateway_id"], row["port"], row["size"], row["state"],
        row["doubt"], row["fence"], row["verdict"], counters,
    )  # fmt: skip


def _attempts(conn: sqlite3.Connection, task_id: int) -> list[sqlite3.Row]:
    return conn.execute(
        """
        SELECT a.idx, a.recipient_id, a.live, a.outcome, a.told, r.number, r.state, r.failures,
            r.evidence
        FROM attempts AS a JOIN recipients AS r ON r.id = a.recipient_id
        WHERE a.task_id = ? ORDER BY a.idx
        """,
        (task_id,),
    ).fetchall()


def _evidence(rows: Sequence[sqlite3.Row], counters: Counters | None) -> TaskEvidence:
    return TaskEvidence(bytes(row["told"] for row in rows), counters)


def close_unknown(
    conn: sqlite3.Connection, now_ms: int, task_id: int, cause: UnknownCause, why: str
) -> int:
    """Close a task; places without a detail become unknown with their cause.

    A parked receipt for one of them is evidence and makes it sent first. Returns how many are
    unknown.
    """
    task = _get(conn, task_id)
    claim_parked(conn, task.gateway_id, task_id, open_too=True)
    rows = [row for row in _attempts(conn, task_id) if row["live"]]
    conn.execute(
        "UPDATE attempts SET live = 0, reason = ? WHERE task_id = ? AND live = 1", (why, task_id)
    )
    conn.executemany(
        """
        UPDATE recipients SET state = 'unknown', cause = ?, evidence = 'none', code = NULL,
            reason = ? WHERE id = ?
        """,
        [(cause, why, row["recipient_id"]) for row in rows],
    )
    tally = Tally()
    tally.moved(task.campaign_id, R.ASSIGNED, R.UNKNOWN, len(rows))
    tally.store(conn)
    close(conn, task_id, now_ms, why)
    if rows:
        decide(
            conn, now_ms, "unknown", f"{len(rows)} unknown ({cause}): {why}",
            campaign_id=task.campaign_id, gateway_id=task.gateway_id, task_id=task_id,
        )  # fmt: skip
    ids = [row["recipient_id"] for row in rows]
    apply_policy(conn, now_ms, task.campaign_id, task.gateway_id, ids)
    return len(rows)


def ambiguity(conn: sqlite3.Connection, task_id: int) -> Conclusion:
    """What is proved of a task, and the bounds of what is not."""
    return conclude(_evidence(_attempts(conn, task_id), _get(conn, task_id).counters))


def task_counters(conn: sqlite3.Connection, task_id: int) -> Counters | None:
    return _get(conn, task_id).counters


def _get(conn: sqlite3.Connection, task_id: int) -> ReportedTask:
    return as_task(conn.execute("SELECT * FROM tasks WHERE id = ?", (task_id,)).fetchone())


def settle_without_receipts(conn: sqlite3.Connection, now_ms: int, campaign_id: int) -> int:
    """Receipt-wait is over: `sent` becomes `no_receipt`. Returns how many."""
    moved = conn.execute(
        """
        UPDATE recipients SET state = 'no_receipt', reason = 'no delivery receipt in time'
        WHERE campaign_id = ? AND state = 'sent'
            -- the old interface gives none; where only somebody's word says that it was sent,
            -- nothing more is waited for (a receipt that comes all the same refines it)
            AND evidence NOT IN ('accepted', 'operator')
        """,
        (campaign_id,),
    ).rowcount
    tally = Tally()
    tally.moved(campaign_id, R.SENT, R.NO_RECEIPT, moved)
    tally.store(conn)
    if moved:
        decide(
            conn, now_ms, "no_receipt", f"{moved} without a receipt in time",
            campaign_id=campaign_id,
        )  # fmt: skip
    return moved
