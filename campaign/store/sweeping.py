"""Ordinary reports, many at once: what `outcomes.fold_report` does, in a few statements for all.

Nearly every report of a campaign that goes well only tells of messages that went out, of a task in
which nothing is open to question. Such reports in a row are read together and written together,
each table in key order; whatever is not ordinary is left to `fold_report`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple
from operator import itemgetter
from typing import Any, Final, NamedTuple

from campaign.planner.reconcile import (
    TOLD,
    Counters,
    Places,
    TaskEvidence,
    reconcile,
    tells_all_sent,
)
from campaign.planner.states import Evidence, Outcome, RecipientState, TaskState
from campaign.protocol.messages import FailedRow, SentRow, TaskReport
from campaign.store.applying import AfterFailure, Folded
from campaign.store.claims import CLOSED_BY_REPORTS
from campaign.store.journal import Tally
from campaign.store.outcomes import fold_report
from campaign.store.receipts import claim_parked, has_parked

R = RecipientState

_MOST = 128
_AFTER_ANOTHER = 4
"""Reports that are read together at most, and behind one that was not ordinary."""

_Place = tuple[int, str, int, str | None, int, str]
"""(recipient, number, live, outcome, told, state of the recipient): what a report may change."""
_UNTOLD: Final = (1, None, 0, R.ASSIGNED)
"""A place as it was claimed, but for whose it is."""
_ALL_SENT: Final = TOLD[Outcome.SENT]

_AttemptRow = tuple[str, str | None, int | None, int, int, int]
"""(evidence, port, at, told, task, place)."""
_RecipientRow = tuple[str, str | None, int | None, str | None, int]
"""(evidence, port, at, ICCID, recipient)."""


class _Task(NamedTuple):
    """A task, as far as an ordinary report concerns it."""

    tid: int
    id: int
    campaign_id: int
    port: int
    state: str
    sending: int | None
    sent: int | None
    failed: int | None
    unsent: int | None

    @property
    def counters(self) -> Counters | None:
        if None in self[-4:]:
            return None
        return Counters(*self[-4:])  # type: ignore[arg-type]  # none of them is None


class _Ordinary(NamedTuple):
    """A report that only tells of messages which went out, as what is to be written of it."""

    task: _Task
    is_whole: bool
    """No attempt of its task is left without an outcome."""
    counters: tuple[int | None, ...]
    """Sending, sent, failed, unsent."""
    attempts: list[_AttemptRow]
    recipients: list[_RecipientRow]
    """Of the same, who went out."""


def fold_reports(
    conn: sqlite3.Connection,
    now_ms: int,
    gateway_id: int,
    reports: Sequence[TaskReport],
    after_failure: Callable[[int], AfterFailure],
    folded: Folded,
) -> None:
    """Apply the reports of a push in their order (spec §6.3.2)."""
    # the SIM that sent it is the one in that port now
    iccids = dict(
        conn.execute("SELECT port, iccid FROM ports WHERE gateway_id = ?", (gateway_id,)).fetchall()
    )
    at, most = 0, _MOST
    while at < len(reports):
        ordinary = _leading(conn, gateway_id, reports[at : at + most], iccids)
        if ordinary:
            _write(conn, now_ms, gateway_id, ordinary)
            _tell(folded, ordinary)
            at, most = at + len(ordinary), min(most * 2, _MOST)
        else:
            fold_report(conn, now_ms, gateway_id, reports[at], after_failure, folded)
            at, most = at + 1, _AFTER_ANOTHER


def _leading(
    conn: sqlite3.Connection,
    gateway_id: int,
    reports: Sequence[TaskReport],
    iccids: Mapping[int, str],
) -> list[_Ordinary]:
    """The ordinary reports in front of the first that is not, or that is of a task once more."""
    tasks = _tasks(conn, gateway_id, [report.tid for report in reports])
    places = _places(conn, [task.id for task in tasks.values()])
    found: list[_Ordinary] = []
    for report in reports:
        task = tasks.pop(report.tid, None)
        if task is None:
            break
        one = _ordinary(task, places.get(task.id, []), report, iccids.get(task.port))
        if one is None:
            break
        found.append(one)
    return found


def _tuples(conn: sqlite3.Connection, sql: str, parameters: Sequence[object]) -> Iterator[Any]:
    """Rows without names: of those there are many, names cost more than reading."""
    cursor = conn.cursor()
    cursor.row_factory = None
    return cursor.execute(sql, parameters)


def _tasks(conn: sqlite3.Connection, gateway_id: int, tids: Sequence[int]) -> dict[int, _Task]:
    """By tid; the newest wins should one have come round again (index tasks_tid)."""
    rows = _tuples(
        conn,
        """
        SELECT t.tid, t.id, t.campaign_id, t.port, t.state,
            t.c_sending, t.c_sent, t.c_failed, t.c_unsent
        FROM json_each(?) AS told CROSS JOIN tasks AS t
        WHERE t.gateway_id = ? AND t.tid = told.value ORDER BY t.id
        """,
        (json.dumps(tids), gateway_id),
    )
    return {row[0]: _Task._make(row) for row in rows}


def _places(conn: sqlite3.Connection, task_ids: Sequence[int]) -> dict[int, list[_Place]]:
    """Of each task, in their order (by the primary keys of both tables)."""
    rows = _tuples(
        conn,
        """
        SELECT a.task_id, a.recipient_id, r.number, a.live, a.outcome, a.told, r.state
        FROM json_each(?) AS chosen CROSS JOIN attempts AS a ON a.task_id = chosen.value
        CROSS JOIN recipients AS r ON r.id = a.recipient_id ORDER BY chosen.key, a.idx
        """,
        (json.dumps(task_ids),),
    )
    found: dict[int, list[_Place]] = {task_id: [] for task_id in task_ids}
    for task_id, *place in rows:
        found[task_id].append(tuple(place))
    return found


def _ordinary(
    task: _Task, places: Sequence[_Place], report: TaskReport, iccid: str | None
) -> _Ordinary | None:
    """None where more than outcomes may follow from it: somebody failed, was proved before, is not
    in flight, or the task is in doubt or being taken back."""
    if task.state not in (TaskState.INTENT, TaskState.ACCEPTED) or report.fdr or report.odd:
        return None
    numbers = [place[1] for place in places]
    if (
        task.sent is None
        and all(place[2:] == _UNTOLD for place in places)
        and tells_all_sent(numbers, report)
    ):
        # `reconcile` would say the same
        counters = (0, len(places), 0, 0)
        risen = [(idx, row, _ALL_SENT) for idx, row in enumerate(report.sdr, 1)]
        return _Ordinary(task, True, counters, *_rows(task, places, risen, iccid))
    return _reconciled(task, places, numbers, report, iccid)


def _reconciled(
    task: _Task,
    places: Sequence[_Place],
    numbers: Sequence[str],
    report: TaskReport,
    iccid: str | None,
) -> _Ordinary | None:
    before = TaskEvidence(bytes(place[4] for place in places), task.counters)
    proved = reconcile(Places(numbers), before, report)
    if proved.conflicts or any(one.outcome is not Outcome.SENT for one in proved.settled):
        return None
    told = proved.evidence.told
    rises = {settled.idx for settled in proved.settled}
    is_whole = True
    for idx, (_, _, live, outcome, told_before, state) in enumerate(places, 1):
        if idx not in rises:
            if told[idx - 1] != told_before:
                return None
            is_whole = is_whole and outcome is not None
        elif not live or outcome is not None or state != R.ASSIGNED:
            return None
    counted = proved.evidence.counters
    counters = (None,) * 4 if counted is None else astuple(counted)
    risen = [(settled.idx, settled.row, told[settled.idx - 1]) for settled in proved.settled]
    return _Ordinary(task, is_whole, counters, *_rows(task, places, risen, iccid))


def _rows(
    task: _Task,
    places: Sequence[_Place],
    risen: Iterable[tuple[int, SentRow | FailedRow | None, int]],
    iccid: str | None,
) -> tuple[list[_AttemptRow], list[_RecipientRow]]:
    """What is written of those that went out: place, the row that tells so, all told of it."""
    attempts: list[_AttemptRow] = []
    recipients: list[_RecipientRow] = []
    for idx, row, told in risen:
        evidence, port, at = Evidence.INFERRED, None, None
        if row is not None:
            evidence, at = Evidence.REPORT, row.at
            port = None if row.port is None else str(row.port)
        attempts.append((evidence, port, at, told, task.id, idx))
        recipients.append((evidence, port, at, iccid, places[idx - 1][0]))
    return attempts, recipients


def _write(
    conn: sqlite3.Connection, now_ms: int, gateway_id: int, ordinary: Sequence[_Ordinary]
) -> None:
    _write_tasks(conn, now_ms, ordinary)
    _write_outcomes(conn, ordinary)
    tally = Tally()
    for campaign_id in {one.task.campaign_id for one in ordinary}:
        sent = sum(len(one.attempts) for one in ordinary if one.task.campaign_id == campaign_id)
        tally.moved(campaign_id, R.ASSIGNED, R.SENT, sent)
    tally.store(conn)
    if has_parked(conn, gateway_id):
        for one in sorted(ordinary, key=_task_id):
            claim_parked(conn, gateway_id, one.task.id)


def _task_id(one: _Ordinary) -> int:
    return one.task.id


def _write_tasks(conn: sqlite3.Connection, now_ms: int, ordinary: Sequence[_Ordinary]) -> None:
    """In key order, as all that is written here: random order costs many times as much."""
    closed = (TaskState.CLOSED, now_ms, CLOSED_BY_REPORTS)
    rows = [
        (
            *(closed if one.is_whole else (TaskState.ACCEPTED, None, None)),
            now_ms, now_ms, *one.counters, one.task.id,
        )
        for one in ordinary
    ]  # fmt: skip
    rows.sort(key=itemgetter(-1))
    conn.executemany(
        """
        UPDATE tasks SET state = ?, closed_ms = ?, verdict = ?, news_ms = ?,
            accepted_ms = coalesce(accepted_ms, ?), doubt = NULL,
            c_sending = ?, c_sent = ?, c_failed = ?, c_unsent = ?
        WHERE id = ?
        """,
        rows,
    )


def _write_outcomes(conn: sqlite3.Connection, ordinary: Sequence[_Ordinary]) -> None:
    attempts = [row for one in ordinary for row in one.attempts]
    attempts.sort(key=itemgetter(4, 5))
    conn.executemany(
        """
        UPDATE attempts SET live = 0, outcome = 'sent', evidence = ?, port = ?, at = ?, told = ?
        WHERE task_id = ? AND idx = ?
        """,
        attempts,
    )
    recipients = [row for one in ordinary for row in one.recipients]
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
        port, sent = one.task.port, len(one.attempts)
        if sent:
            folded.done[port] = folded.done.get(port, 0) + sent
            folded.streaks.append((port, True))
        if one.is_whole:
            folded.closed.append(one.task.id)
