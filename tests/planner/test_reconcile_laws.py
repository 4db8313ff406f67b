"""The laws of reconciliation, over streams of reports from a small device that tells the truth.

The device cuts its reports anywhere: counters cumulative, details once each, numbers as it pleases,
indexes from 0, from 1 or not at all. The way to us then loses, doubles, reorders, splits and
coalesces; a restart begins the counters anew. Beside it a naive model: every course of events that
fits the evidence, one by one.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.planner.reconcile import (
    TOLD,
    Counters,
    Places,
    TaskEvidence,
    conclude,
    read_report,
    reconcile,
)
from campaign.planner.states import Outcome
from campaign.protocol.codec import decode_push
from campaign.protocol.messages import FailedRow, SentRow, StatusReport, TaskReport

NUMBERS = tuple(f"999{n}5550{n:03}" for n in range(1, 10))
S, F, T = Outcome.SENT, Outcome.FAILED, Outcome.TIMEOUT
Details = tuple[tuple[int, SentRow | FailedRow], ...]


@dataclass(frozen=True)
class Story:
    """A task's true ends, every report its device made, and those that came in, in two orders."""

    truth: tuple[Outcome, ...]
    reports: tuple[TaskReport, ...]
    arrived: tuple[TaskReport, ...]
    again: tuple[TaskReport, ...]

    @property
    def places(self) -> Places:
        return Places(NUMBERS[: len(self.truth)])

    def evidence(self, reports: Sequence[TaskReport]) -> TaskEvidence:
        told = [read_report(self.places, report).evidence for report in reports]
        return reduce(TaskEvidence.join, told, TaskEvidence.blank(len(self.truth)))


@dataclass(frozen=True)
class Habits:
    """How a device writes: `cut` digits fewer or a prefix more, its index base, None for no index
    (then numbers are as we wrote them)."""

    cut: int
    prefix: str
    base: int | None

    def row(self, idx: int, outcome: Outcome) -> SentRow | FailedRow:
        number = NUMBERS[idx - 1]
        if self.base is not None:
            number = self.prefix + number[self.cut :]
        index = None if self.base is None else idx - 1 + self.base
        if outcome is S:
            return SentRow(index=index, number=number)
        return FailedRow(index=index, number=number, program=7 if outcome is F else 6)


HABITS = st.builds(
    Habits, st.sampled_from((0, 3, 4)), st.sampled_from(("", "0", "00")),
    st.sampled_from((0, 1, None)),
)  # fmt: skip


def told(rows: Sequence[SentRow | FailedRow], counters: Counters | None) -> TaskReport:
    numbers = (None,) * 4 if counters is None else _wire(counters)
    sending, sent, failed, unsent = numbers
    return TaskReport(
        tid=1, sending=sending, sent=sent, failed=failed, unsent=unsent,
        sdr=tuple(row for row in rows if isinstance(row, SentRow)),
        fdr=tuple(row for row in rows if isinstance(row, FailedRow)),
    )  # fmt: skip


def _wire(counters: Counters) -> tuple[int, int, int, int]:
    return counters.sending, counters.sent, counters.failed, counters.unsent


@st.composite
def device_reports(draw: st.DrawFn, truth: Sequence[Outcome]) -> list[TaskReport]:
    """A device works its task off in some order and reports as often as it pleases."""
    habits, size = draw(HABITS), len(truth)
    order = draw(st.permutations(range(1, size + 1)))
    restart = draw(st.none() | st.integers(1, size))  # after so many its counters begin anew
    reports: list[TaskReport] = []
    rows: list[SentRow | FailedRow] = []
    n_sent = n_failed = forgotten = 0
    for done, idx in enumerate(order, 1):
        outcome = truth[idx - 1]
        n_sent, n_failed = n_sent + (outcome is S), n_failed + (outcome is not S)
        rows.append(habits.row(idx, outcome))
        if done == size or draw(st.booleans()):
            sending = min(size - done, draw(st.integers(0, 2)))
            left = size - done - sending
            # a restarted device counts what is left, or the whole task without what is over
            left += draw(st.sampled_from((0, forgotten)))
            reports.append(told(rows, Counters(sending, n_sent, n_failed, left)))
            rows = []
        if done == restart and not rows:
            forgotten, n_sent, n_failed = n_sent + n_failed, 0, 0
    return reports


@st.composite
def on_the_way(draw: st.DrawFn, reports: Sequence[TaskReport]) -> tuple[TaskReport, ...]:
    """Lost, doubled, reordered, split in two, or coalesced with the next."""
    came: list[TaskReport] = []
    for report in draw(st.lists(st.sampled_from(reports), max_size=10)):
        match draw(st.sampled_from(("whole", "split", "coalesced"))):
            case "split":
                came += [replace_rows(report, (), report.fdr), replace_rows(report, report.sdr, ())]
            case "coalesced" if came:
                last = came.pop()
                came.append(replace_rows(report, last.sdr + report.sdr, last.fdr + report.fdr))
            case _:
                came.append(report)
    return tuple(came)


def replace_rows(
    report: TaskReport, sdr: tuple[SentRow, ...], fdr: tuple[FailedRow, ...]
) -> TaskReport:
    return TaskReport(
        tid=report.tid, sending=report.sending, sent=report.sent, failed=report.failed,
        unsent=report.unsent, sdr=sdr, fdr=fdr,
    )  # fmt: skip


@st.composite
def stories(draw: st.DrawFn, most: int = 9) -> Story:
    truth = tuple(draw(st.lists(st.sampled_from(Outcome), min_size=1, max_size=most)))
    reports = tuple(draw(device_reports(truth)))
    came = draw(on_the_way(reports))
    return Story(truth, reports, came, tuple(draw(st.permutations(came))))


def rank(outcome: Outcome | None) -> int:
    return 0 if outcome is None else TOLD[outcome]


# the value


@st.composite
def evidences(draw: st.DrawFn) -> list[TaskEvidence]:
    """Three of one task, whatever they say: contradictions too."""
    size = draw(st.integers(1, 4))
    small = st.integers(0, size)
    fitting = st.tuples(small, small, small, small).filter(lambda c: sum(c) == size)
    counters = st.none() | fitting.map(lambda c: Counters(*c))
    told_bits = st.lists(st.integers(0, 7), min_size=size, max_size=size).map(bytes)
    one = st.builds(TaskEvidence, told_bits, counters)
    return draw(st.lists(one, min_size=3, max_size=3))


@pytest.mark.slow
@given(evidences())
def test_join_is_commutative_associative_and_idempotent(three: list[TaskEvidence]) -> None:
    a, b, c = three
    assert a.join(b) == b.join(a)
    assert a.join(b).join(c) == a.join(b.join(c))
    assert a.join(a) == a
    assert a.join(TaskEvidence.blank(len(a.told))) == a


# streams of a device that tells the truth


@pytest.mark.slow
@given(stories())
def test_nothing_is_claimed_against_the_truth_whatever_is_lost(story: Story) -> None:
    evidence = TaskEvidence.blank(len(story.truth))
    for report in story.arrived:
        evidence = evidence.join(read_report(story.places, report).evidence)
        found = conclude(evidence)
        assert found.consistent
        for claimed, true in zip(found.outcomes, story.truth, strict=True):
            assert claimed in (None, true)


@pytest.mark.slow
@given(stories(), st.data())
def test_any_order_and_any_grouping_concludes_alike(story: Story, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(story.again)))
    grouped = story.evidence(story.again[:cut]).join(story.evidence(story.again[cut:]))
    assert grouped == story.evidence(story.arrived)
    assert conclude(grouped) == conclude(story.evidence(story.arrived))


@pytest.mark.slow
@given(stories())
def test_hearing_it_again_changes_nothing(story: Story) -> None:
    evidence = story.evidence(story.arrived)
    for report in story.again:
        result = reconcile(story.places, evidence, report)
        assert (result.evidence, result.settled, result.conflicts) == (evidence, (), ())


@pytest.mark.slow
@given(stories())
def test_hearing_more_never_takes_knowledge_away(story: Story) -> None:
    evidence = TaskEvidence.blank(len(story.truth))
    for report in story.arrived:
        result = reconcile(story.places, evidence, report)
        before, after = conclude(evidence), conclude(result.evidence)
        for old, new in zip(before.outcomes, after.outcomes, strict=True):
            assert rank(new) >= rank(old)
        assert after.inferred & {s.idx for s in result.settled} <= after.inferred - before.inferred
        evidence = result.evidence


@pytest.mark.slow
@given(stories())
def test_hearing_everything_is_knowing_everything(story: Story) -> None:
    assert conclude(story.evidence(story.reports)).outcomes == story.truth


@pytest.mark.slow
@given(stories())
def test_applying_only_what_rises_ends_at_the_conclusion(story: Story) -> None:
    """As the ledger does it: report by report, each difference once."""
    evidence, stored = TaskEvidence.blank(len(story.truth)), [None] * len(story.truth)
    ledger: list[Outcome | None] = list(stored)
    for report in story.arrived:
        result = reconcile(story.places, evidence, report)
        evidence = result.evidence
        for settled in result.settled:
            ledger[settled.idx - 1] = settled.outcome
    assert tuple(ledger) == conclude(story.evidence(story.arrived)).outcomes


JUNK = st.integers(-2, 9)


@pytest.mark.slow
@given(stories(), st.builds(Counters, JUNK, JUNK, JUNK, JUNK), st.data())
def test_counters_of_another_epoch_change_no_conclusion(
    story: Story, junk: Counters, data: st.DataObject
) -> None:
    if junk.fit(len(story.truth)):
        return
    reports = list(story.arrived)
    reports.insert(data.draw(st.integers(0, len(reports))), told((), junk))
    assert story.evidence(reports) == story.evidence(story.arrived)


@pytest.mark.slow
@given(stories())
def test_indexes_and_counters_written_as_strings_tell_the_same(story: Story) -> None:
    def row(item: SentRow | FailedRow) -> list[object]:
        index = None if item.index is None else str(item.index)
        extra = [] if isinstance(item, SentRow) else [str(item.program)]
        return [index, "+" + item.number, "1A", "1700000000", *extra]

    for report in story.reports:
        counts = _wire(Counters(*(value or 0 for value in (
            report.sending, report.sent, report.failed, report.unsent,
        ))))  # fmt: skip
        keys = ("sending", "sent", "failed", "unsent")
        item = {
            "tid": "1", **dict(zip(keys, map(str, counts), strict=True)),
            "sdr": [row(r) for r in report.sdr], "fdr": [row(r) for r in report.fdr],
        }  # fmt: skip
        push = decode_push(msgspec.json.encode({"type": "status-report", "rpts": [item]}))
        assert isinstance(push, StatusReport)
        (decoded,) = push.reports
        assert (
            read_report(story.places, decoded).evidence
            == read_report(story.places, report).evidence
        )


# the naive model: every course of events that fits


def courses(evidence: TaskEvidence) -> list[tuple[Outcome, ...]]:
    """Every assignment of true ends under which a truthful device may have told this."""
    fits = []
    for truth in itertools.product(Outcome, repeat=len(evidence.told)):
        if any(bits & ~TOLD[end] for bits, end in zip(evidence.told, truth, strict=True)):
            continue
        counters, sent = evidence.counters, truth.count(S)
        if counters is not None and (
            counters.sent > sent or counters.failed > len(truth) - sent
        ):  # the rest is still to come
            continue
        fits.append(truth)
    return fits


@pytest.mark.slow
@given(stories(most=5))
def test_a_place_is_concluded_exactly_where_every_course_of_events_agrees(story: Story) -> None:
    evidence = story.evidence(story.arrived)
    found, possible = conclude(evidence), courses(evidence)
    assert story.truth in possible
    for idx, claimed in enumerate(found.outcomes):
        ends = {truth[idx] for truth in possible}
        assert claimed == (next(iter(ends)) if len(ends) == 1 else None)


@pytest.mark.slow
@given(stories(most=5))
def test_bounds_are_exact(story: Story) -> None:
    """Weaker on purpose: that a place failed may be certain, how it failed never is without a
    detail, so it stays open; the bounds then say how many are which."""
    evidence = story.evidence(story.arrived)
    found = conclude(evidence)
    if not found.bounds:
        return
    counts = {(sum(truth[idx - 1] is S for idx in found.ambiguous)) for truth in courses(evidence)}
    assert len(counts) == 1
    (sent,) = counts
    failed = len(found.ambiguous) - sent
    assert found.bounds == f"among {len(found.ambiguous)}: {sent} sent, {failed} failed"


@pytest.mark.slow
@given(evidences())
def test_whatever_a_device_says_only_its_final_counters_add_to_its_details(
    three: list[TaskEvidence],
) -> None:
    for evidence in three:
        found, counters = conclude(evidence), evidence.counters
        details = conclude(TaskEvidence(evidence.told)).outcomes
        for idx, (claimed, detail) in enumerate(zip(found.outcomes, details, strict=True), 1):
            assert claimed is (S if idx in found.inferred else detail)
        failures = sum(detail in (F, T) for detail in details)
        if found.inferred:
            assert counters is not None
            assert counters.final
            assert counters.failed in (0, failures)
