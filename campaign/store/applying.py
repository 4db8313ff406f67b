"""What a report proves of a task's places, done to attempts and recipients."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from campaign.planner.places import with_failure
from campaign.planner.reconcile import Counters, Settled
from campaign.planner.retry import Failure, Final, Retry
from campaign.planner.states import Evidence, FenceReason, Outcome, RecipientState
from campaign.store.contacts import leave_the_sim
from campaign.store.journal import Tally, decide, incident
from campaign.store.lineage import is_before_restore
from campaign.store.unproved import EARLIER, is_released, is_unproved

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
class ReportedTask:
    """A task as far as its reports concern it."""

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


@dataclass
class Applier:
    """Applies risen outcomes of one task; `sent`, the hot path, is written in one sweep."""

    conn: sqlite3.Connection
    now_ms: int
    task: ReportedTask
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
        if row["outcome"] == Outcome.TIMEOUT:
            return True
        return row["outcome"] is None and not is_released(self.task.verdict)

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
            (due, failures, self._avoiding(row), failure.code, failure.reason, row["recipient_id"]),
        )
        leave_the_sim(self.conn, row["recipient_id"])
        self.tally.moved(self.task.campaign_id, state, R.HELD)
        decide(
            self.conn, self.now_ms, "retry", retry.why, campaign_id=self.task.campaign_id,
            gateway_id=self.task.gateway_id, task_id=self.task.id,
            recipient_id=row["recipient_id"],
        )  # fmt: skip

    def _avoiding(self, row: sqlite3.Row) -> str:
        (avoid,) = self.conn.execute(
            "SELECT avoid FROM recipients WHERE id = ?", (row["recipient_id"],)
        ).fetchone()
        return with_failure(avoid, f"{self.task.gateway_id}:{self.task.port}")

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
