"""Reconciliation: what reports tell of a task, as a value that only grows, and what it proves.

`TaskEvidence` is a join-semilattice: `join` is commutative, associative and idempotent, so that
loss, duplication, order and grouping of reports cannot matter. `conclude` reads a conclusion off
it. Only what reports say is in it: receipts and earlier inferences never feed an inference.
Counters are cumulative and max-merged; they are used only while they add up to the task's size,
since anything else belongs to another epoch of the device.

Of a device that contradicts itself nothing is inferred, with one exception: counters that count no
failure at all prove every place sent, failed details notwithstanding (sent beats failed).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from campaign.planner.retry import Failure, FailureKind, judge_failure
from campaign.planner.states import Outcome
from campaign.protocol.messages import FailedRow, SentRow, TaskReport

TAIL: Final = 7
"""Fewest digits by which a rewritten number (without its country code) is recognised."""

TOLD: Final = {Outcome.TIMEOUT: 1, Outcome.FAILED: 2, Outcome.SENT: 4}
"""The bits of a place in `TaskEvidence.told`: which details reports told of it."""

_SENT, _FAILURE = TOLD[Outcome.SENT], TOLD[Outcome.TIMEOUT] | TOLD[Outcome.FAILED]
_CONTRADICTION = TOLD[Outcome.SENT] | TOLD[Outcome.FAILED]
_BEST: Final[tuple[Outcome | None, ...]] = (
    None,
    Outcome.TIMEOUT,
    *(Outcome.FAILED,) * 2,
    *(Outcome.SENT,) * 4,
)
"""The best detail by a place's bits: sent beats failed, failed beats a timeout."""


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

    @property
    def progress(self) -> tuple[int, int, int]:
        """How far a task is; total among counters of one size, so that a maximum is a join."""
        return self.sent + self.failed, self.sending, self.sent


@dataclass(frozen=True, slots=True)
class TaskEvidence:
    """What reports have told of one task: a byte of `TOLD` bits per place, in the order of `to`,
    and the furthest counters that account for all of it."""

    told: bytes
    counters: Counters | None = None

    @classmethod
    def blank(cls, size: int) -> TaskEvidence:
        return cls(bytes(size))

    def join(self, other: TaskEvidence) -> TaskEvidence:
        """All that either tells. Both are of the same task."""
        told = self.told
        if other.told != told:
            told = bytes(a | b for a, b in zip(told, other.told, strict=True))
        return TaskEvidence(told, _further(self.counters, other.counters))


def _further(one: Counters | None, other: Counters | None) -> Counters | None:
    if one is None or other is None:
        return one or other
    return max(one, other, key=lambda counters: counters.progress)


class Places:
    """The places of a task by number. A device may rewrite numbers: with a prefix, without a
    country code, down to seven digits."""

    def __init__(self, numbers: Sequence[str]) -> None:
        self.numbers = numbers
        self._exact = {number: idx for idx, number in enumerate(numbers, 1)}
        self._tails: dict[str, list[int]] | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    def find(self, row: SentRow | FailedRow) -> int | None:
        """The place (from 1) a detail names: by the number as we wrote it, else by the one number
        of which it is a suffix (leading zeros aside) or the other way round, if its index agrees
        with a count from 0 or from 1; a task of one recipient needs none. Nothing is guessed, and
        nothing is learned: what was told before cannot change what a row names."""
        exact = self._exact.get(row.number)
        if exact is not None or len(row.number) < TAIL:
            return exact
        fits = [idx for idx in self._alike(row.number[-TAIL:]) if self._fits(idx, row.number)]
        if len(fits) != 1:
            return None
        (idx,) = fits
        return idx if len(self) == 1 or row.index in (idx - 1, idx) else None

    def _alike(self, tail: str) -> Sequence[int]:
        if self._tails is None:
            self._tails = {}
            for idx, number in enumerate(self.numbers, 1):
                if len(number) >= TAIL:
                    self._tails.setdefault(number[-TAIL:], []).append(idx)
        return self._tails.get(tail, ())

    def _fits(self, idx: int, number: str) -> bool:
        ours = self.numbers[idx - 1]
        # a national prefix stands where the country code was
        bare = number[min(len(number) - len(number.lstrip("0")), len(number) - TAIL) :]
        return ours.endswith(bare) or number.endswith(ours)


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a task's evidence proves.

    `outcomes` has one entry a place, None where nothing is proved; `inferred` names the places
    (from 1) that are sent by elimination alone. `ambiguous`: these cannot be told apart, with exact
    bounds in `bounds`. `contradictions`: what the device says against itself, in words; where it
    does, also in ways that are no anomaly, `consistent` is false and conclusions may not last.
    """

    outcomes: tuple[Outcome | None, ...]
    inferred: frozenset[int] = frozenset()
    ambiguous: tuple[int, ...] = ()
    bounds: str = ""
    contradictions: tuple[str, ...] = ()
    consistent: bool = True


def conclude(evidence: TaskEvidence) -> Conclusion:
    """Read off what is proved, place by place.

    A place is concluded exactly where every course of events that fits the evidence agrees on it.
    A failure without a detail may have been a timeout, so no failure is ever inferred.
    """
    told, counters = evidence.told, evidence.counters
    outcomes = tuple(_BEST[bits] for bits in told)
    consistent = not any(bits & _SENT and bits & _FAILURE for bits in told)
    against = tuple(
        f"index {idx} is reported both sent and failed"
        for idx, bits in enumerate(told, 1)
        if bits & _CONTRADICTION == _CONTRADICTION
    )
    if counters is None or not counters.final:
        return Conclusion(outcomes, contradictions=against, consistent=consistent)
    missing = tuple(idx for idx, outcome in enumerate(outcomes, 1) if outcome is None)
    sent = outcomes.count(Outcome.SENT)
    failed = len(outcomes) - sent - len(missing)
    if failed > counters.failed or sent > counters.sent:
        counted = f"{counters.sent} sent and {counters.failed} failed"
        against += (f"it reports {sent} sent and {failed} failed, but counts {counted}",)
        consistent = False
    if counters.failed == 0:
        inferred = frozenset(i for i, o in enumerate(outcomes, 1) if o is not Outcome.SENT)
        outcomes = (Outcome.SENT,) * len(outcomes)
        return Conclusion(outcomes, inferred, contradictions=against, consistent=consistent)
    if not missing or failed > counters.failed or sent > counters.sent:
        return Conclusion(outcomes, contradictions=against, consistent=consistent)
    if failed == counters.failed:
        outcomes = tuple(outcome or Outcome.SENT for outcome in outcomes)
        return Conclusion(
            outcomes, frozenset(missing), contradictions=against, consistent=consistent
        )
    left = f"{counters.sent - sent} sent, {counters.failed - failed} failed"
    bounds = f"among {len(missing)}: {left}"
    return Conclusion(outcomes, frozenset(), missing, bounds, against, consistent)


@dataclass(frozen=True, slots=True)
class Reading:
    """One report, read against its task: evidence, the row behind each place's best detail, and
    details that name nobody in the task."""

    evidence: TaskEvidence
    rows: dict[int, SentRow | FailedRow]
    strangers: tuple[str, ...] = ()


def read_report(places: Places, report: TaskReport) -> Reading:
    """What one report tells by itself."""
    told = bytearray(len(places))
    rows: dict[int, SentRow | FailedRow] = {}
    strangers: list[str] = []
    details: Iterable[SentRow | FailedRow] = (*report.sdr, *report.fdr)
    for row in details:
        idx = places.find(row)
        if idx is None:
            strangers.append(f"a detail names a number that is not in the task (index {row.index})")
            continue
        bit = _bit(row)
        if bit > told[idx - 1]:
            rows[idx] = row
        told[idx - 1] |= bit
    # whoever reports of others as well may count a stranger's task that has the same tid
    counters = None if strangers else _counters(report, len(places))
    return Reading(TaskEvidence(bytes(told), counters), rows, tuple(strangers))


def _bit(row: SentRow | FailedRow) -> int:
    if isinstance(row, SentRow):
        return _SENT
    unproved = _judge(row).kind is FailureKind.UNPROVED
    return TOLD[Outcome.TIMEOUT if unproved else Outcome.FAILED]


def _judge(row: FailedRow) -> Failure:
    return judge_failure(row.program, row.program_text, row.network, row.network_text)


def _counters(report: TaskReport, size: int) -> Counters | None:
    """A report's counters, if they account for the whole task; a missing `unsent` is the rest."""
    if report.sent is None and report.failed is None:
        return None
    sent, failed, sending = report.sent or 0, report.failed or 0, report.sending or 0
    unsent = report.unsent if report.unsent is not None else size - sent - failed - sending
    counters = Counters(sending, sent, failed, unsent)
    return counters if counters.fit(size) else None  # of another epoch, or nonsense


@dataclass(frozen=True, slots=True)
class Settled:
    """A rise in what reports prove of one place; `row` None: inferred."""

    idx: int
    outcome: Outcome
    row: SentRow | FailedRow | None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a report changes: the evidence with it, what rises, and what contradicts anew."""

    evidence: TaskEvidence
    settled: tuple[Settled, ...]
    conflicts: tuple[str, ...]


def reconcile(places: Places, before: TaskEvidence, report: TaskReport) -> Reconciled:
    """Join one report with a task's evidence; the difference of the two conclusions. Pure."""
    at_once = _sent_at_once(places, before, report)
    if at_once is not None:
        return at_once
    reading = read_report(places, report)
    evidence = before.join(reading.evidence)
    if evidence == before:
        return Reconciled(before, (), reading.strangers)
    old, new = conclude(before), conclude(evidence)
    settled = [
        _settled(idx, outcome, row, reading)
        for idx, outcome in enumerate(new.outcomes, 1)
        if outcome is not None
        for row in [idx not in new.inferred]
        if outcome is not old.outcomes[idx - 1] or (row and idx in old.inferred)
    ]
    anew = [text for text in new.contradictions if text not in old.contradictions]
    return Reconciled(evidence, tuple(settled), (*reading.strangers, *anew))


def tells_all_sent(numbers: Sequence[str], report: TaskReport) -> bool:
    """Whether a report tells of every place, in order and by the number as we wrote it, that it was
    sent, and counts so: most tasks end like this. Where nothing was told before, `reconcile` comes
    to all of them sent, each by its row."""
    size = len(numbers)
    if len(report.sdr) != size or report.sent != size or report.fdr:
        return False
    if report.failed or report.sending or report.unsent:
        return False
    if size == 1:
        return report.sdr[0].number == numbers[0]
    # of two places with one number the first would be meant twice
    return [row.number for row in report.sdr] == numbers and len(set(numbers)) == size


def _sent_at_once(places: Places, before: TaskEvidence, report: TaskReport) -> Reconciled | None:
    """What the rules come to, short, where nothing was told before and all were sent. Else None."""
    if before.counters is not None or any(before.told):
        return None
    if not tells_all_sent(list(places.numbers), report):
        return None
    size = len(places)
    evidence = TaskEvidence(bytes((_SENT,)) * size, Counters(0, size, 0, 0))
    settled = [Settled(idx, Outcome.SENT, row) for idx, row in enumerate(report.sdr, 1)]
    return Reconciled(evidence, tuple(settled), ())


def _settled(idx: int, outcome: Outcome, told: bool, reading: Reading) -> Settled:
    row = reading.rows.get(idx) if told else None
    failure = _judge(row) if isinstance(row, FailedRow) else None
    return Settled(idx, outcome, row, failure)
