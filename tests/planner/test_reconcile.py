"""Reconciliation is a join: loss, duplication and order cannot matter, and nothing is invented."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.planner.reconcile import (
    AttemptFacts,
    Counters,
    Elimination,
    Reconciled,
    eliminate,
    merge_counters,
    reconcile,
)
from campaign.planner.retry import FailureKind
from campaign.planner.states import Outcome
from campaign.protocol.messages import FailedRow, SentRow, TaskReport

NUMBERS = tuple(f"999{n}5550{n:03}" for n in range(1, 10))


def places(*outcomes: Outcome | None) -> list[AttemptFacts]:
    return [AttemptFacts(i, NUMBERS[i - 1], outcome) for i, outcome in enumerate(outcomes, 1)]


def sent(idx: int, base: int = 1, number: str | None = None) -> SentRow:
    return SentRow(index=idx - 1 + base, number=number or NUMBERS[idx - 1])


def failed(idx: int, program: int = 7, base: int = 1, number: str | None = None) -> FailedRow:
    return FailedRow(index=idx - 1 + base, number=number or NUMBERS[idx - 1], program=program)


def report(*rows: SentRow | FailedRow, counters: Counters | None = None) -> TaskReport:
    values = counters or Counters(0, 0, 0, 0)
    return TaskReport(
        tid=1,
        sending=values.sending if counters else None,
        sent=values.sent if counters else None,
        failed=values.failed if counters else None,
        unsent=values.unsent if counters else None,
        sdr=tuple(row for row in rows if isinstance(row, SentRow)),
        fdr=tuple(row for row in rows if isinstance(row, FailedRow)),
    )


def outcomes(result: Reconciled) -> dict[int, Outcome]:
    return {settled.idx: settled.outcome for settled in result.settled}


# one report


def test_details_settle_their_places() -> None:
    told = report(sent(1), failed(2), failed(3, 6), counters=Counters(0, 1, 2, 0))
    result = reconcile(places(None, None, None), None, None, told)
    assert outcomes(result) == {1: Outcome.SENT, 2: Outcome.FAILED, 3: Outcome.TIMEOUT}
    assert result.counters == Counters(0, 1, 2, 0)
    assert [settled.failure and settled.failure.kind for settled in result.settled] == [
        None, FailureKind.TRANSIENT, FailureKind.UNPROVED,
    ]  # fmt: skip


RISES = [
    (None, Outcome.TIMEOUT), (None, Outcome.FAILED), (None, Outcome.SENT),
    (Outcome.TIMEOUT, Outcome.FAILED), (Outcome.TIMEOUT, Outcome.SENT),
    (Outcome.FAILED, Outcome.SENT),
]  # fmt: skip


@pytest.mark.parametrize("before", [None, *Outcome])
@pytest.mark.parametrize("now", list(Outcome))
def test_evidence_only_rises(before: Outcome | None, now: Outcome) -> None:
    row = sent(1) if now is Outcome.SENT else failed(1, 7 if now is Outcome.FAILED else 6)
    result = reconcile(places(before, None), None, 1, report(row))
    assert outcomes(result) == ({1: now} if (before, now) in RISES else {})
    assert bool(result.conflicts) == ({before, now} == {Outcome.SENT, Outcome.FAILED})


def test_sent_beats_failed_within_one_report_too() -> None:
    result = reconcile(places(None), None, None, report(failed(1), sent(1)))
    assert outcomes(result) == {1: Outcome.SENT}
    assert len(result.conflicts) == 1


def test_a_number_of_another_task_is_a_conflict_and_settles_nothing() -> None:
    result = reconcile(places(None), None, None, report(sent(1, number="99977777777")))
    assert (result.settled, len(result.conflicts)) == ((), 1)


# numbers the device rewrote


@pytest.mark.parametrize("base", [0, 1])
def test_the_first_number_told_as_we_wrote_it_tells_the_index_base(base: int) -> None:
    result = reconcile(places(None, None), None, None, report(sent(2, base)))
    assert result.index_base == base


def test_an_index_that_fits_neither_base_teaches_nothing() -> None:
    row = SentRow(index=7, number=NUMBERS[0])
    assert reconcile(places(None, None), None, None, report(row)).index_base is None


def test_a_learned_base_is_not_unlearned() -> None:
    assert reconcile(places(None, None), None, 0, report(sent(1, 1))).index_base == 0


@pytest.mark.parametrize(
    "number",
    [NUMBERS[1][3:], "0" * 2 + NUMBERS[1], NUMBERS[1][-7:]],
    ids=["without-country-code", "with-prefix", "seven-digits"],
)
def test_a_rewritten_number_is_recognised_where_the_index_agrees(number: str) -> None:
    told = report(sent(2, 1, number))
    assert outcomes(reconcile(places(None, None), None, 1, told)) == {2: Outcome.SENT}
    assert outcomes(reconcile(places(None, None), None, None, told)) == {2: Outcome.SENT}
    assert outcomes(reconcile(places(None, None), None, 0, told)) == {}


def test_six_digits_are_too_few_to_recognise_a_number() -> None:
    told = report(sent(2, 1, NUMBERS[1][-6:]))
    assert outcomes(reconcile(places(None, None), None, 1, told)) == {}


def test_a_rewritten_number_without_an_index_is_taken_only_where_it_stands_alone() -> None:
    told = report(SentRow(number=NUMBERS[0][3:]))
    assert outcomes(reconcile(places(None), None, None, told)) == {1: Outcome.SENT}
    assert outcomes(reconcile(places(None, None), None, 1, told)) == {}


ALIKE = [AttemptFacts(1, "99915550100", None), AttemptFacts(2, "99925550100", None)]
"""Alike in their last seven digits: only the index tells them apart, once its base is known."""


def test_numbers_that_end_alike_are_told_apart_only_by_a_known_base() -> None:
    told = report(SentRow(index=1, number="5550100"))
    assert outcomes(reconcile(ALIKE, None, None, told)) == {}
    assert outcomes(reconcile(ALIKE, None, 1, told)) == {1: Outcome.SENT}
    assert outcomes(reconcile(ALIKE, None, 0, told)) == {2: Outcome.SENT}


def test_the_order_of_rows_within_a_report_does_not_matter_for_learning_the_base() -> None:
    rows = (SentRow(index=1, number="5550100"), FailedRow(index=0, number="99915550100", program=7))
    result = reconcile(ALIKE, None, None, report(*rows))
    assert outcomes(result) == {1: Outcome.FAILED, 2: Outcome.SENT}
    assert not result.conflicts


# counters


@pytest.mark.parametrize(
    ("counters", "fit", "final"),
    [
        (Counters(0, 2, 1, 0), True, True),
        (Counters(1, 1, 1, 0), True, False),
        (Counters(0, 1, 1, 1), True, False),
        (Counters(0, 2, 0, 0), False, True),
        (Counters(3, 3, 0, 0), False, False),
        (Counters(0, 4, -1, 0), False, True),
        (Counters(-1, 3, 0, 1), False, False),
    ],
)
def test_counters_fit_when_they_account_for_the_whole_task(
    counters: Counters, fit: bool, final: bool
) -> None:
    assert (counters.fit(3), counters.final) == (fit, final)


def test_a_report_without_counters_leaves_them() -> None:
    assert merge_counters(Counters(0, 1, 0, 2), report(), 3) == Counters(0, 1, 0, 2)
    assert merge_counters(None, report(), 3) is None


def test_a_missing_unsent_is_what_is_left() -> None:
    told = TaskReport(tid=1, sent=1, failed=1)
    assert merge_counters(None, told, 3) == Counters(0, 1, 1, 1)
    # more than the task holds is no counter of this task, whatever is left out
    merged = merge_counters(Counters(1, 1, 0, 1), TaskReport(tid=1, sent=9), 3)
    assert merged == Counters(1, 1, 0, 1)


SMALL = st.integers(-2, 5)
ANY_COUNTERS = st.builds(Counters, SMALL, SMALL, SMALL, SMALL)


@given(st.permutations(range(4)), st.lists(ANY_COUNTERS, min_size=4, max_size=4))
def test_the_order_of_counters_does_not_matter_once_any_fits(
    order: Sequence[int], told: list[Counters]
) -> None:
    def merged(all_told: Sequence[Counters]) -> Counters | None:
        counters: Counters | None = None
        for now in all_told:
            counters = merge_counters(counters, report(counters=now), 5)
        return counters

    first, second = merged(told), merged([told[i] for i in order])
    if any(counters.fit(5) for counters in told):
        assert first == second
        assert first is not None
        assert first.fit(5)
    else:
        assert eliminate(places(*[None] * 5), first) == Elimination()


@pytest.mark.parametrize(
    ("known", "counters", "expected"),
    [
        pytest.param([None, None], None, Elimination(), id="no-counters"),
        pytest.param([None, None], Counters(1, 1, 0, 0), Elimination(), id="not-final"),
        pytest.param([None, None], Counters(2, 2, 0, 0), Elimination(), id="another-epoch"),
        pytest.param([None, None], Counters(0, 2, 0, 0), Elimination((1, 2)), id="all-sent"),
        pytest.param(
            [Outcome.FAILED, None], Counters(0, 1, 1, 0), Elimination((2,)), id="the-rest-is-sent"
        ),
        pytest.param(
            [Outcome.TIMEOUT, None], Counters(0, 1, 1, 0), Elimination((2,)), id="6-is-a-failure"
        ),
        pytest.param(
            [Outcome.SENT, None],
            Counters(0, 1, 1, 0),
            Elimination(ambiguous=(2,), bounds="among 1: 0 sent, 1 failed"),
            id="a-failure-may-have-been-a-timeout",
        ),
        pytest.param(
            [None, None],
            Counters(0, 1, 1, 0),
            Elimination(ambiguous=(1, 2), bounds="among 2: 1 sent, 1 failed"),
            id="which-of-the-two",
        ),
        pytest.param(
            [Outcome.SENT, Outcome.SENT, None], Counters(0, 1, 2, 0), Elimination(),
            id="contradicts-the-details",
        ),
        pytest.param([Outcome.SENT], Counters(0, 1, 0, 0), Elimination(), id="nothing-missing"),
    ],
)  # fmt: skip
def test_elimination_proves_only_the_missing_successes(
    known: list[Outcome | None], counters: Counters | None, expected: Elimination
) -> None:
    assert eliminate(places(*known), counters) == expected


# streams of reports from a device that tells the truth


@dataclass(frozen=True)
class Facts:
    """What is known of a task after some reports."""

    attempts: tuple[AttemptFacts, ...]
    counters: Counters | None = None
    index_base: int | None = None

    def join(self, told: TaskReport) -> Facts:
        result = reconcile(self.attempts, self.counters, self.index_base, told)
        assert not result.conflicts
        risen = outcomes(result)
        attempts = [replace(a, outcome=risen.get(a.idx, a.outcome)) for a in self.attempts]
        proved = eliminate(attempts, result.counters).sent
        attempts = [replace(a, outcome=Outcome.SENT) if a.idx in proved else a for a in attempts]
        return Facts(tuple(attempts), result.counters, result.index_base)

    @property
    def known(self) -> tuple[Outcome | None, ...]:
        return tuple(attempt.outcome for attempt in self.attempts)


@dataclass(frozen=True)
class Story:
    """A task's true ends, every report its device made, and which of them came in, in an order."""

    truth: tuple[Outcome, ...]
    reports: tuple[TaskReport, ...]
    arrived: tuple[TaskReport, ...]
    again: tuple[TaskReport, ...]

    @property
    def blank(self) -> Facts:
        return Facts(tuple(places(*[None] * len(self.truth))))


@st.composite
def stories(draw: st.DrawFn) -> Story:
    truth = draw(st.lists(st.sampled_from(Outcome), min_size=1, max_size=9))
    base = draw(st.sampled_from((0, 1)))
    cut = draw(st.sampled_from((0, 3)))  # whether the device drops the country code
    order = draw(st.permutations(range(1, len(truth) + 1)))
    reports, rows, n_sent, n_failed = [], list[SentRow | FailedRow](), 0, 0
    for done, idx in enumerate(order, 1):
        number = NUMBERS[idx - 1][cut:]
        if truth[idx - 1] is Outcome.SENT:
            n_sent += 1
            rows.append(sent(idx, base, number))
        else:
            n_failed += 1
            rows.append(failed(idx, 7 if truth[idx - 1] is Outcome.FAILED else 6, base, number))
        if done == len(order) or draw(st.booleans()):
            left = len(truth) - done
            sending = min(left, draw(st.integers(0, 2)))
            counters = Counters(sending, n_sent, n_failed, left - sending)
            reports.append(report(*rows, counters=counters))
            rows = []
    came = draw(st.lists(st.sampled_from(reports), max_size=12))
    return Story(tuple(truth), tuple(reports), tuple(came), tuple(draw(st.permutations(came))))


def join_all(facts: Facts, reports: Sequence[TaskReport]) -> Facts:
    for told in reports:
        facts = facts.join(told)
    return facts


@given(stories())
def test_nothing_is_claimed_against_the_truth_whatever_is_lost(story: Story) -> None:
    facts = story.blank
    for told in story.arrived:
        facts = facts.join(told)
        for claimed, true in zip(facts.known, story.truth, strict=True):
            assert claimed in (None, true)


@given(stories())
def test_any_order_ends_alike(story: Story) -> None:
    first, second = join_all(story.blank, story.arrived), join_all(story.blank, story.again)
    assert (first.known, first.counters) == (second.known, second.counters)


@given(stories())
def test_hearing_it_again_changes_nothing(story: Story) -> None:
    facts = join_all(story.blank, story.arrived)
    assert join_all(facts, story.again) == facts


@given(stories())
def test_hearing_more_never_takes_knowledge_away(story: Story) -> None:
    facts = story.blank
    for told in story.arrived:
        before, facts = facts, facts.join(told)
        for old, new in zip(before.known, facts.known, strict=True):
            assert old in (None, new)


@given(stories())
def test_hearing_everything_is_knowing_everything(story: Story) -> None:
    assert join_all(story.blank, story.reports).known == story.truth


@given(stories(), ANY_COUNTERS, st.integers(0, 12))
def test_counters_of_another_epoch_change_no_outcome(story: Story, junk: Counters, at: int) -> None:
    if junk.fit(len(story.truth)):
        return
    reports = list(story.arrived)
    reports.insert(at, report(counters=junk))
    assert join_all(story.blank, reports).known == join_all(story.blank, story.arrived).known
