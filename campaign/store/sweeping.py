"""Ordinary reports, many at once: what `outcomes.fold_report` does, in a few statements for all.

Nearly every report of a campaign that goes well only tells of messages that went out, of a task in
which nothing is open to question. Such reports in a row are read together and written together,
each table in key order; whatever is not ordinary is left to `fold_report`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter

from campaign.planner.reconcile import Places, Reconciled, TaskEvidence, reconcile
from campaign.planner.states import Evidence, Outcome, RecipientState, TaskState
from campaign.protocol.messages import TaskReport
from campaign.store.applying import AfterFailure, Folded, ReportedTask
from campaign.store.claims import CLOSED_BY_REPORTS
from campaign.store.journal import Tally
from campaign.store.outcomes import as_task, fold_report
from campaign.store.receipts import claim_parked, has_parked

R = RecipientState

_MOST = 128
_AFTER_ANOTHER = 4
"""Reports that are read together at most, and behind one that was not ordinary."""


@dataclass(frozen=True, slots=True)
class _Ordinary:
    """A report that only tells of messages which went out, and what it proves."""

    task: ReportedTask
    attempts: Sequence[sqlite3.Row]
    proved: Reconciled
    is_whole: bool
    """No attempt of its task is left without an outcome."""


def fold_reports(
    conn: sqlite3.Connection,
    now_ms: int,
    gateway_id: int,
    reports: Sequence[TaskReport],
    after_failure: Callable[[int], AfterFailure],
    folded: Folded,
) -> None:
    """Apply the reports of a push in their order (spec §6.3.2)."""
    at, most = 0, _MOST
    while at < len(reports):
        ordinary = _leading(conn, gateway_id, reports[at : at + most])
        if ordinary:
            _write(conn, now_ms, gateway_id, sorted(ordinary, key=lambda one: one.task.id))
            _tell(folded, ordinary)
            at, most = at + len(ordinary), min(most * 2, _MOST)
        else:
            fold_report(conn, now_ms, gateway_id, reports[at], after_failure, folded)
            at, most = at + 1, _AFTER_ANOTHER


def _leading(
    conn: sqlite3.Connection, gateway_id: int, reports: Sequence[TaskReport]
) -> list[_Ordinary]:
    """The ordinary reports in front of the first that is not, or that is of a task once more."""
    tasks = _tasks(conn, gateway_id, [report.tid for report in reports])
    attempts = _attempts(conn, [task.id for task in tasks.values()])
    found: list[_Ordinary] = []
    for report in reports:
        task = tasks.pop(report.tid, None)
        one = None if task is None else _ordinary(task, attempts.get(task.id, []), report)
        if one is None:
            break
        found.append(one)
    return found


def _tasks(
    conn: sqlite3.Connection, gateway_id: int, tids: Sequence[int]
) -> dict[int, ReportedTask]:
    """By tid; the newest wins should one have come round again (index tasks_tid)."""
    rows = conn.execute(
        """
        SELECT t.tid, t.id, t.campaign_id, t.gateway_id, t.port, t.size, t.state, t.doubt, t.fence,
            t.c_sending, t.c_sent, t.c_failed, t.c_unsent, t.verdict
        FROM json_each(?) AS told CROSS JOIN tasks AS t
        WHERE t.gateway_id = ? AND t.tid = told.value ORDER BY t.id
        """,
        (json.dumps(tids), gateway_id),
    )
    return {row["tid"]: as_task(row) for row in rows}


def _attempts(conn: sqlite3.Connection, task_ids: Sequence[int]) -> dict[int, list[sqlite3.Row]]:
    """Of each task, in the order of its places (by the primary keys of both tables)."""
    rows = conn.execute(
        """
        SELECT a.task_id, a.recipient_id, a.live, a.outcome, a.told, r.number, r.state
        FROM json_each(?) AS chosen CROSS JOIN attempts AS a ON a.task_id = chosen.value
        CROSS JOIN recipients AS r ON r.id = a.recipient_id ORDER BY chosen.key, a.idx
        """,
        (json.dumps(task_ids),),
    )
    found: dict[int, list[sqlite3.Row]] = {}
    for row in rows:
        found.setdefault(row["task_id"], []).append(row)
    return found


def _ordinary(
    task: ReportedTask, attempts: Sequence[sqlite3.Row], report: TaskReport
) -> _Ordinary | None:
    """None where more than outcomes may follow from it: somebody failed, was proved before, is not
    in flight, or the task is in doubt or being taken back."""
    if task.state not in (TaskState.INTENT, TaskState.ACCEPTED) or report.fdr or report.odd:
        return None
    before = TaskEvidence(bytes(row["told"] for row in attempts), task.counters)
    proved = reconcile(Places([row["number"] for row in attempts]), before, report)
    risen = {settled.idx for settled in proved.settled}
    if proved.conflicts or any(one.outcome is not Outcome.SENT for one in proved.settled):
        return None
    is_whole = True
    for idx, (row, told) in enumerate(zip(attempts, proved.evidence.told, strict=True), 1):
        if idx not in risen:
            if told != row["told"]:
                return None
            is_whole = is_whole and row["outcome"] is not None
        elif not row["live"] or row["outcome"] is not None or row["state"] != R.ASSIGNED:
            return None
    return _Ordinary(task, attempts, proved, is_whole)


def _write(
    conn: sqlite3.Connection, now_ms: int, gateway_id: int, ordinary: Sequence[_Ordinary]
) -> None:
    _write_tasks(conn, now_ms, ordinary)
    _write_outcomes(conn, gateway_id, ordinary)
    tally = Tally()
    for one in ordinary:
        tally.moved(one.task.campaign_id, R.ASSIGNED, R.SENT, len(one.proved.settled))
    tally.store(conn)
    if has_parked(conn, gateway_id):
        for one in ordinary:
            claim_parked(conn, gateway_id, one.task.id)


def _write_tasks(conn: sqlite3.Connection, now_ms: int, ordinary: Sequence[_Ordinary]) -> None:
    rows = []
    for one in ordinary:
        counters = one.proved.evidence.counters
        counted = (
            (None,) * 4
            if counters is None
            else (counters.sending, counters.sent, counters.failed, counters.unsent)
        )
        closed = (TaskState.CLOSED, now_ms, CLOSED_BY_REPORTS)
        rows.append(
            (
                *(closed if one.is_whole else (TaskState.ACCEPTED, None, None)),
                now_ms, now_ms, *counted, one.task.id,
            )
        )  # fmt: skip
    conn.executemany(
        """
        UPDATE tasks SET state = ?, closed_ms = ?, verdict = ?, news_ms = ?,
            accepted_ms = coalesce(accepted_ms, ?), doubt = NULL,
            c_sending = ?, c_sent = ?, c_failed = ?, c_unsent = ?
        WHERE id = ?
        """,
        rows,
    )


def _write_outcomes(
    conn: sqlite3.Connection, gateway_id: int, ordinary: Sequence[_Ordinary]
) -> None:
    # the SIM that sent it is the one in that port now
    iccids = dict(
        conn.execute("SELECT port, iccid FROM ports WHERE gateway_id = ?", (gateway_id,)).fetchall()
    )
    attempts = []
    recipients = []
    for one in ordinary:
        told, iccid = one.proved.evidence.told, iccids.get(one.task.port)
        for settled in one.proved.settled:
            evidence, port, at = Evidence.INFERRED, None, None
            if settled.row is not None:
                evidence, at = Evidence.REPORT, settled.row.at
                port = None if settled.row.port is None else str(settled.row.port)
            idx = settled.idx
            attempts.append((evidence, port, at, told[idx - 1], one.task.id, idx))
            recipients.append((evidence, port, at, iccid, one.attempts[idx - 1]["recipient_id"]))
    conn.executemany(
        """
        UPDATE attempts SET live = 0, outcome = 'sent', evidence = ?, port = ?, at = ?, told = ?
        WHERE task_id = ? AND idx = ?
        """,
        attempts,
    )
    recipients.sort(key=itemgetter(4))
    conn.executemany(
        """
        UPDATE recipients SET state = 'sent', evidence = ?, port = coalesce(?, port),
            sent_at = ?, iccid = ?, cause = NULL, code = NULL, reason = NULL, due_ms = NULL
        WHERE id = ?
        """,
        recipients,
    )


def _tell(folded: Folded, ordinary: Sequence[_Ordinary]) -> None:
    for one in ordinary:
        port, sent = one.task.port, len(one.proved.settled)
        if sent:
            folded.done[port] = folded.done.get(port, 0) + sent
            folded.streaks.append((port, True))
        if one.is_whole:
            folded.closed.append(one.task.id)
