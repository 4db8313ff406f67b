"""Outcomes: what reports, receipts and proofs do to attempts and recipients.

Every function here is called inside the transaction that also moves the inbox cursor, so that
evidence is applied exactly once however often it arrives.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from campaign.planner.reconcile import (
    Conclusion,
    Counters,
    Places,
    Settled,
    TaskEvidence,
    conclude,
    reconcile,
)
from campaign.planner.retry import Failure, Final, Retry
from campaign.planner.states import (
    Evidence,
    FenceReason,
    Outcome,
    RecipientState,
    TaskState,
    UnknownCause,
)
from campaign.protocol.messages import TaskReport
from campaign.store.claims import close
from campaign.store.journal import Tally, decide, incident
from campaign.store.lineage import is_before_restore, notice_overtaken
from campaign.store.policies import apply_policy
from campaign.store.receipts import claim_parked
from campaign.store.unproved import EARLIER, is_unproved

R = RecipientState

AfterFailure = Callable[[Failure, int], Retry | Final]
"""(failure, how many this recipient has had) -> what follows; bound to the campaign's budget."""


@dataclass
class Folded:
    """What a fold changed, for whoever paces, rests ports and prints."""

    done: dict[int, int] = field(default_factory=dict)
    """Messages that became final, by port."""
    streaks: list[tuple[int, bool]] = field(default_factory=list)
    """(port, it worked) in the order of arrival; failures of the number's own left out."""
    closed: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Task:
    id: int
    campaign_id: int
    gateway_id: int
    port: int
    size: int
    state: str
    doubt: str | None
    fence: str | None
    verdict: str | None
    counters: Counters | None


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
    applier = _Applier(
        conn, now_ms, task, tally, after_failure(task.campaign_id), folded, result.evidence.told
    )
    for settled in result.settled:
        applier.apply(rows[settled.idx - 1], settled)
    applier.flush(rows)
    tally.store(conn)
    claim_parked(conn, gateway_id, task.id)
    apply_policy(conn, now_ms, task.campaign_id, gateway_id, applier.timed_out)
    risen = {settled.idx for settled in result.settled}
    open_left = any(row["outcome"] is None and row["idx"] not in risen for row in rows)
    if task.state != TaskState.CLOSED and not open_left:
        close(conn, task.id, now_ms, "every attempt final")
        folded.closed.append(task.id)


def _record_on_the_wire(conn: sqlite3.Connection, now_ms: int, task: _Task) -> None:
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


def _find(conn: sqlite3.Connection, gateway_id: int, tid: int) -> _Task | None:
    row = conn.execute(
        # index tasks_tid; the newest wins should a tid ever come round again
        """
        SELECT id, campaign_id, gateway_id, port, size, state, doubt, fence, c_sending, c_sent,
            c_failed, c_unsent, verdict
        FROM tasks WHERE gateway_id = ? AND tid = ? ORDER BY id DESC LIMIT 1
        """,
        (gateway_id, tid),
    ).fetchone()
    return None if row is None else _as_task(row)


def _as_task(row: sqlite3.Row) -> _Task:
    counters = (
        None
        if row["c_sent"] is None
        else Counters(row["c_sending"], row["c_sent"], row["c_failed"], row["c_unsent"])
    )
    return _Task(
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


@dataclass
class _Applier:
    """Applies risen outcomes of one task; `sent`, the hot path, is written in one sweep."""

    conn: sqlite3.Connection
    now_ms: int
    task: _Task
    tally: Tally
    after_failure: AfterFailure
    folded: Folded
    told: bytes
    """Every place's details so far, this report's among them."""
    timed_out: list[int] = field(default_factory=list)
    """Recipients that became unknown."""
    _sent: list[tuple[str, str | None, int | None, str, int]] = field(default_factory=list)
    _attempts: list[tuple[str, str | None, int | None, int, int, int]] = field(default_factory=list)

    def apply(self, row: sqlite3.Row, settled: Settled) -> None:
        """Apply what reports newly prove of a place; a receipt may have proved it before."""
        before = None if row["outcome"] is None else Outcome(row["outcome"])
        match settled.outcome:
            case Outcome.SENT if before is Outcome.SENT:
                self._confirm_sent(row, settled)
            case Outcome.SENT:
                self._apply_sent(row, settled)
            case Outcome.FAILED if before is Outcome.SENT:
                self._incident("anomaly", "reported failed, yet it is proved sent", row)
            case Outcome.FAILED:
                self._apply_failed(row, settled)
            case Outcome.TIMEOUT if before is None:
                self._apply_timeout(row, settled)

    def flush(self, rows: Sequence[sqlite3.Row]) -> None:
        self.conn.executemany(
            """
            UPDATE attempts SET live = 0, outcome = 'sent', evidence = ?, port = ?, at = ?, told = ?
            WHERE task_id = ? AND idx = ?
            """,
            self._attempts,
        )
        written = {attempt[-1] for attempt in self._attempts}
        self.conn.executemany(
            "UPDATE attempts SET told = ? WHERE task_id = ? AND idx = ?",
            [
                (told, self.task.id, row["idx"])
                for row, told in zip(rows, self.told, strict=True)
                if told != row["told"] and row["idx"] not in written
            ],
        )
        # the SIM that sent it is the one in that port now; it is asked for once per task
        iccid = self.conn.execute(
            "SELECT iccid FROM ports WHERE gateway_id = ? AND port = ?",
            (self.task.gateway_id, self.task.port),
        ).fetchone()
        self.conn.executemany(
            """
            UPDATE recipients SET state = 'sent', evidence = ?, port = coalesce(?, port),
                sent_at = ?, iccid = ?, cause = NULL, code = NULL, reason = NULL, due_ms = NULL
            WHERE id = ?
            """,
            [
                (evidence, port, at, iccid["iccid"] if iccid else None, recipient_id)
                for evidence, port, at, _, recipient_id in sorted(self._sent, key=lambda s: s[4])
            ],
        )

    def _apply_sent(self, row: sqlite3.Row, settled: Settled) -> None:
        evidence = Evidence.INFERRED if settled.row is None else Evidence.REPORT
        port = None if settled.row is None or settled.row.port is None else str(settled.row.port)
        at = None if settled.row is None else settled.row.at
        told = self.told[row["idx"] - 1]
        self._attempts.append((evidence, port, at, told, self.task.id, row["idx"]))
        state = R(row["state"])
        if row["live"]:
            self._done(works=True)
        if state is R.ASSIGNED and not row["live"]:
            self._end_later_attempt(row)
        if state is R.ASSIGNED or state in _RISES_TO_SENT:
            self._sent.append((evidence, port, at, state, row["recipient_id"]))
            self.tally.moved(self.task.campaign_id, state, R.SENT)
        elif state is R.SENT and row["evidence"] == Evidence.OPERATOR:
            self._sent.append((evidence, port, at, state, row["recipient_id"]))
        if not row["live"] and state is not R.UNKNOWN:
            self._late_sent(row, state)
        if self.task.fence == FenceReason.OPT_OUT and self._opted_out(row["number"]):
            self._incident("opted_out_in_flight", "went out before it could be taken back", row)

    def _confirm_sent(self, row: sqlite3.Row, settled: Settled) -> None:
        """Its detail comes after a receipt, or counters, proved it: the better evidence stands,
        whichever came first."""
        if settled.row is None:
            return
        port = None if settled.row.port is None else str(settled.row.port)
        at, told = settled.row.at, self.told[row["idx"] - 1]
        self._attempts.append((Evidence.REPORT, port, at, told, self.task.id, row["idx"]))
        if not self._is_newest(row):
            return
        self.conn.execute(
            """
            UPDATE recipients SET port = coalesce(?, port), sent_at = ?,
                evidence = CASE WHEN state IN ('sent', 'no_receipt') THEN 'report' ELSE evidence END
            WHERE id = ? AND state IN ('sent', 'no_receipt', 'delivered', 'undelivered')
            """,
            (port, at, row["recipient_id"]),
        )

    def _end_later_attempt(self, row: sqlite3.Row) -> None:
        """An earlier attempt went out after all: whatever the one in flight says, no other follows.
        Should it be sent as well, it finds its recipient sent: a duplicate."""
        self.conn.execute(
            "UPDATE attempts SET live = 0, reason = ? WHERE recipient_id = ? AND live = 1",
            ("an earlier attempt is reported sent", row["recipient_id"]),
        )

    def _late_sent(self, row: sqlite3.Row, state: R) -> None:
        if self._sent_otherwise(row):
            self._incident("duplicate", "two attempts are reported sent", row)
        elif not (state in _OPEN_TO_NEWS and self._was_unknown(row)):
            self._incident("anomaly", f"reported sent while it was {state}", row)

    def _sent_otherwise(self, row: sqlite3.Row) -> bool:
        """Whether another attempt is on record as sent (nobody's word alone makes two of one)."""
        other = self.conn.execute(
            "SELECT 1 FROM attempts WHERE recipient_id = ? AND task_id <> ? AND outcome = 'sent'",
            (row["recipient_id"], self.task.id),
        )
        return other.fetchone() is not None

    def _was_unknown(self, row: sqlite3.Row) -> bool:
        """Whether this attempt was never proved to be anything."""
        released = (self.task.verdict or "").startswith("released")
        return row["outcome"] == Outcome.TIMEOUT or (row["outcome"] is None and not released)

    def _apply_failed(self, row: sqlite3.Row, settled: Settled) -> None:
        assert settled.failure is not None  # noqa: S101 - a failed outcome always carries its row
        failure, failures = settled.failure, row["failures"] + 1
        self._keep_failure(row, settled, failure)
        state = R(row["state"])
        if row["live"]:
            self._done(works=None if failure.kind.value == "permanent" else False)
        elif not self._is_newest(row):
            return
        elif row["evidence"] == Evidence.OPERATOR:
            self._against_a_word(row, state, failures, failure)
            return
        elif state is not R.UNKNOWN:
            return
        elif is_before_restore(self.conn, self.task.id):
            return  # the lost ledger may have sent again on this very failure
        what = self.after_failure(failure, failures)
        if isinstance(what, Retry):
            self._retry(row, state, what, failures, failure)
        else:
            self._fail(row, state, failures, failure)

    def _against_a_word(self, row: sqlite3.Row, state: R, failures: int, failure: Failure) -> None:
        """Proved failed after somebody ruled: as failed, which is now proved and stays final; or as
        sent, which the ledger has no way back from, so that both stand side by side."""
        if state is R.FAILED:
            self._fail(row, state, failures, failure)
        elif state is R.SENT:
            self._incident("anomaly", "proved failed, yet it was resolved as sent", row)

    def _retry(
        self, row: sqlite3.Row, state: R, retry: Retry, failures: int, failure: Failure
    ) -> None:
        due = self.now_ms + round(retry.wait * 1000)
        self.conn.execute(
            """
            UPDATE recipients SET state = 'held', due_ms = ?, cause = 'backoff', failures = ?,
                avoid = ?, code = ?, reason = ? WHERE id = ?
            """,
            (
                due, failures, f"{self.task.gateway_id}:{self.task.port}", failure.code,
                failure.reason, row["recipient_id"],
            ),
        )  # fmt: skip
        self.tally.moved(self.task.campaign_id, state, R.HELD)
        decide(
            self.conn, self.now_ms, "retry", retry.why, campaign_id=self.task.campaign_id,
            gateway_id=self.task.gateway_id, task_id=self.task.id,
            recipient_id=row["recipient_id"],
        )  # fmt: skip

    def _fail(self, row: sqlite3.Row, state: R, failures: int, failure: Failure) -> None:
        if is_unproved(self.conn, row["recipient_id"]):
            self._stay_unknown(row, state, failures, failure)
            return
        self.conn.execute(
            """
            UPDATE recipients SET state = 'failed', evidence = 'report', cause = NULL,
                failures = ?, code = ?, reason = ? WHERE id = ?
            """,
            (failures, failure.code, failure.reason, row["recipient_id"]),
        )
        self.tally.moved(self.task.campaign_id, state, R.FAILED)

    def _stay_unknown(self, row: sqlite3.Row, state: R, failures: int, failure: Failure) -> None:
        """Sent to again after an unknown attempt, and this one failed: not proved unsent."""
        if state is R.FAILED:
            return  # on somebody's word, and it stands on no more than that
        self.conn.execute(
            """
            UPDATE recipients SET state = 'unknown', evidence = 'none', cause = 'ambiguous',
                failures = ?, code = ?, reason = ? WHERE id = ?
            """,
            (failures, failure.code, f"{failure.reason}; {EARLIER}", row["recipient_id"]),
        )
        self.tally.moved(self.task.campaign_id, state, R.UNKNOWN)

    def _apply_timeout(self, row: sqlite3.Row, settled: Settled) -> None:
        assert settled.failure is not None  # noqa: S101 - as above
        self._keep_failure(row, settled, settled.failure)
        if not row["live"]:
            return
        self._done(works=None)
        self.conn.execute(
            """
            UPDATE recipients SET state = 'unknown', cause = 'timeout', evidence = 'none',
                code = ?, reason = ? WHERE id = ?
            """,
            (settled.failure.code, settled.failure.reason, row["recipient_id"]),
        )
        self.tally.moved(self.task.campaign_id, R(row["state"]), R.UNKNOWN)
        self.timed_out.append(row["recipient_id"])

    def _keep_failure(self, row: sqlite3.Row, settled: Settled, failure: Failure) -> None:
        detail = settled.row
        port = None if detail is None or detail.port is None else str(detail.port)
        self.conn.execute(
            """
            UPDATE attempts SET live = 0, outcome = ?, evidence = 'report', port = ?, at = ?,
                program = ?, network = ?, reason = ? WHERE task_id = ? AND idx = ?
            """,
            (
                settled.outcome, port, None if detail is None else detail.at,
                getattr(detail, "program", None), getattr(detail, "network", None),
                failure.reason, self.task.id, row["idx"],
            ),
        )  # fmt: skip

    def _done(self, *, works: bool | None) -> None:
        port = self.task.port
        self.folded.done[port] = self.folded.done.get(port, 0) + 1
        if works is not None:
            self.folded.streaks.append((port, works))

    def _is_newest(self, row: sqlite3.Row) -> bool:
        """Whether this is the recipient's last attempt: only then is it the one that is shown."""
        (newest,) = self.conn.execute(
            "SELECT max(task_id) FROM attempts WHERE recipient_id = ?", (row["recipient_id"],)
        ).fetchone()
        return bool(newest == self.task.id)

    def _opted_out(self, number: str) -> bool:
        row = self.conn.execute("SELECT 1 FROM optouts.optouts WHERE number = ?", (number,))
        return row.fetchone() is not None

    def _incident(self, kind: str, detail: str, row: sqlite3.Row) -> None:
        incident(
            self.conn, self.now_ms, kind, detail, campaign_id=self.task.campaign_id,
            gateway_id=self.task.gateway_id, task_id=self.task.id,
            recipient_id=row["recipient_id"],
        )  # fmt: skip


_RISES_TO_SENT = frozenset(
    {R.UNKNOWN, R.FAILED, R.PENDING, R.HELD, R.CANCELLED, R.SKIPPED, R.EXPIRED}
)

_OPEN_TO_NEWS = frozenset({R.SENT, R.PENDING, R.HELD, R.ASSIGNED})
"""Taken for sent, or sent again, by a decision: a report that an unknown attempt went out is what
was allowed for, no contradiction."""


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


def _get(conn: sqlite3.Connection, task_id: int) -> _Task:
    return _as_task(conn.execute("SELECT * FROM tasks WHERE id = ?", (task_id,)).fetchone())


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
