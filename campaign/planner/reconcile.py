"""Reconciliation: a task's facts joined with a report, whatever was lost, doubled or reordered.

Details always apply, whatever their order or age, and evidence only rises. Counters are cumulative
and max-merged; they are used only while they add up to the task's size, since anything else belongs
to another epoch of the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from campaign.planner.retry import Failure, FailureKind, judge_failure
from campaign.planner.states import Outcome
from campaign.protocol.messages import FailedRow, SentRow, TaskReport

_SUFFIX = 7
"""Fewest digits by which a rewritten number (without its country code) is recognised."""

_RANK = {None: 0, Outcome.TIMEOUT: 1, Outcome.FAILED: 2, Outcome.SENT: 3}


@dataclass(frozen=True, slots=True)
class AttemptFacts:
    """One place in a task: `idx` counts from 1 in the order of `to`."""

    idx: int
    number: str
    outcome: Outcome | None


@dataclass(frozen=True, slots=True)
class Counters:
    """A task's cumulative counters (spec §6.3.2.3)."""

    sending: int
    sent: int
    failed: int
    unsent: int

    def fit(self, size: int) -> bool:
        """Whether they account for the whole task."""
        parts = (self.sending, self.sent, self.failed, self.unsent)
        return sum(parts) == size and min(parts) >= 0

    @property
    def final(self) -> bool:
        return self.sending == 0 and self.unsent == 0


@dataclass(frozen=True, slots=True)
class Settled:
    """A rise in what is known of one attempt."""

    idx: int
    outcome: Outcome
    row: SentRow | FailedRow | None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a report changes. `conflicts` name details that contradict what was already proved."""

    settled: tuple[Settled, ...]
    counters: Counters | None
    index_base: int | None
    conflicts: tuple[str, ...]


def reconcile(
    attempts: Sequence[AttemptFacts],
    counters: Counters | None,
    index_base: int | None,
    report: TaskReport,
) -> Reconciled:
    """Join one report of a task with its facts. Pure, order-independent and idempotent."""
    by_number = {attempt.number: attempt for attempt in attempts}
    known = {attempt.idx: attempt.outcome for attempt in attempts}
    settled: dict[int, Settled] = {}
    conflicts: list[str] = []
    rows: list[SentRow | FailedRow] = [*report.sdr, *report.fdr]
    # numbers as we wrote them first: they tell where this device's indexes begin
    rows.sort(key=lambda row: row.number not in by_number)
    for row in rows:
        attempt = by_number.get(row.number) or _by_suffix(attempts, row, index_base)
        if attempt is None:
            conflicts.append(f"a detail names a number that is not in the task (index {row.index})")
            continue
        if index_base is None and row.index is not None and len(attempts) > 1:
            base = row.index - attempt.idx + 1
            index_base = base if base in (0, 1) else None
        found = _settle(attempt.idx, row)
        before = known[attempt.idx]
        if {before, found.outcome} == {Outcome.SENT, Outcome.FAILED}:
            conflicts.append(f"index {attempt.idx} is reported both sent and failed")
        if _RANK[found.outcome] > _RANK[before]:
            known[attempt.idx] = found.outcome
            settled[attempt.idx] = found
    merged = merge_counters(counters, report, len(attempts))
    return Reconciled(tuple(settled.values()), merged, index_base, tuple(conflicts))


def merge_counters(before: Counters | None, report: TaskReport, size: int) -> Counters | None:
    """The counters after `report`: the further of two that account for the whole task."""
    if report.sent is None and report.failed is None:
        return before
    sent, failed, sending = report.sent or 0, report.failed or 0, report.sending or 0
    unsent = report.unsent if report.unsent is not None else size - sent - failed - sending
    now = Counters(sending, sent, failed, unsent)
    if not now.fit(size):  # of another epoch, or nonsense: nothing to keep
        return before
    if before is None:
        return now
    return max(before, now, key=_progress)


def _progress(counters: Counters) -> tuple[int, int, int]:
    """How far a task is; total, so that the order of reports cannot matter."""
    return counters.sent + counters.failed, counters.sending, counters.sent


@dataclass(frozen=True, slots=True)
class Elimination:
    """What the counters of a finished task say about places without a detail.

    `sent`: these are sent, for nothing else is missing. `ambiguous`: these cannot be told apart,
    with exact bounds in `bounds`.
    """

    sent: tuple[int, ...] = ()
    ambiguous: tuple[int, ...] = ()
    bounds: str = ""


def eliminate(attempts: Sequence[AttemptFacts], counters: Counters | None) -> Elimination:
    """Use final counters on places without a detail (a missing failure may have been a timeout,
    so it never proves anything about one number)."""
    missing = tuple(attempt.idx for attempt in attempts if attempt.outcome is None)
    if not missing or counters is None:
        return Elimination()
    if not counters.fit(len(attempts)) or not counters.final:
        return Elimination()
    sent = counters.sent - sum(attempt.outcome is Outcome.SENT for attempt in attempts)
    failed = len(missing) - sent
    if sent < 0 or failed < 0:  # counters of another epoch that happen to add up
        return Elimination()
    if failed == 0:
        return Elimination(sent=missing)
    return Elimination(
        ambiguous=missing, bounds=f"among {len(missing)}: {sent} sent, {failed} failed"
    )


def _settle(idx: int, row: SentRow | FailedRow) -> Settled:
    if isinstance(row, SentRow):
        return Settled(idx, Outcome.SENT, row)
    failure = judge_failure(row.program, row.program_text, row.network, row.network_text)
    unproved = failure.kind is FailureKind.UNPROVED
    return Settled(idx, Outcome.TIMEOUT if unproved else Outcome.FAILED, row, failure)


def _by_suffix(
    attempts: Sequence[AttemptFacts], row: SentRow | FailedRow, index_base: int | None
) -> AttemptFacts | None:
    """A number the device rewrote: one is the other's suffix, and the index agrees."""
    if len(row.number) < _SUFFIX:
        return None
    fits = [
        attempt
        for attempt in attempts
        if len(attempt.number) >= _SUFFIX
        and (attempt.number.endswith(row.number) or row.number.endswith(attempt.number))
    ]
    if len(attempts) == 1:
        return fits[0] if fits else None
    bases = (0, 1) if index_base is None else (index_base,)
    agreeing = [
        attempt
        for attempt in fits
        if row.index is not None and any(row.index == attempt.idx - 1 + base for base in bases)
    ]
    return agreeing[0] if len(agreeing) == 1 else None
