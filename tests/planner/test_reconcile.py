"""Reconciliation, case by case: details, rewritten numbers, counters, and what they prove."""

from __future__ import annotations

import pytest

from campaign.planner.reconcile import (
    TOLD,
    Conclusion,
    Counters,
    Places,
    TaskEvidence,
    conclude,
    read_report,
    reconcile,
)
from campaign.planner.retry import FailureKind
from campaign.planner.states import Outcome
from campaign.protocol.messages import FailedRow, SentRow, TaskReport

NUMBERS = tuple(f"999{n}5550{n:03}" for n in range(1, 10))
S, F, T = Outcome.SENT, Outcome.FAILED, Outcome.TIMEOUT


def places(size: int) -> Places:
    return Places(NUMBERS[:size])


def known(*details: Outcome | None, counters: Counters | None = None) -> TaskEvidence:
    return TaskEvidence(bytes(TOLD[detail] if detail else 0 for detail in details), counters)


def sent(idx: int, number: str | None = None, index: int | None = None) -> SentRow:
    return SentRow(index=idx if index is None else index, number=number or NUMBERS[idx - 1])


def failed(idx: int, program: int = 7, number: str | None = None) -> FailedRow:
    return FailedRow(index=idx, number=number or NUMBERS[idx - 1], program=program)


def report(*rows: SentRow | FailedRow, counters: Counters | None = None) -> TaskReport:
    return TaskReport(
        tid=1,
        sending=counters.sending if counters else None,
        sent=counters.sent if counters else None,
        failed=counters.failed if counters else None,
        unsent=counters.unsent if counters else None,
        sdr=tuple(row for row in rows if isinstance(row, SentRow)),
        fdr=tuple(row for row in rows if isinstance(row, FailedRow)),
    )


def risen(before: TaskEvidence, told: TaskReport) -> dict[int, Outcome]:
    result = reconcile(places(len(before.told)), before, told)
    return {settled.idx: settled.outcome for settled in result.settled}


# one report


def test_details_settle_their_places() -> None:
    told = report(sent(1), failed(2), failed(3, 6), counters=Counters(0, 1, 2, 0))
    result = reconcile(places(3), TaskEvidence.blank(3), told)
    assert [(s.idx, s.outcome) for s in result.settled] == [(1, S), (2, F), (3, T)]
    assert result.evidence == known(S, F, T, counters=Counters(0, 1, 2, 0))
    assert [settled.failure and settled.failure.kind for settled in result.settled] == [
        None, FailureKind.TRANSIENT, FailureKind.UNPROVED,
    ]  # fmt: skip


RISES = [(None, T), (None, F), (None, S), (T, F), (T, S), (F, S)]


@pytest.mark.parametrize("before", [None, *Outcome])
@pytest.mark.parametrize("now", list(Outcome))
def test_evidence_only_rises(before: Outcome | None, now: Outcome) -> None:
    row = sent(1) if now is S else failed(1, 7 if now is F else 6)
    result = reconcile(places(2), known(before, None), report(row))
    assert [s.outcome for s in result.settled] == ([now] if (before, now) in RISES else [])
    assert bool(result.conflicts) == ({before, now} == {S, F})


def test_sent_beats_failed_within_one_report_too() -> None:
    result = reconcile(places(1), TaskEvidence.blank(1), report(failed(1), sent(1)))
    assert [(s.outcome, s.row) for s in result.settled] == [(S, sent(1))]
    assert len(result.conflicts) == 1


def test_a_contradiction_is_told_once_however_often_it_is_reported() -> None:
    told = report(failed(1), sent(1))
    once = reconcile(places(1), TaskEvidence.blank(1), told)
    assert reconcile(places(1), once.evidence, told).conflicts == ()


def test_a_number_of_another_task_is_a_conflict_and_settles_nothing() -> None:
    told = report(sent(1, number="99977777777"))
    result = reconcile(places(1), TaskEvidence.blank(1), told)
    assert (result.settled, len(result.conflicts)) == ((), 1)


def test_an_inference_is_confirmed_by_its_detail() -> None:
    before = known(None, counters=Counters(0, 1, 0, 0))
    (settled,) = reconcile(places(1), before, report(sent(1))).settled
    assert (settled.outcome, settled.row) == (S, sent(1))


# numbers the device rewrote


@pytest.mark.parametrize("index", [1, 2], ids=["from-0", "from-1"])
@pytest.mark.parametrize(
    "number",
    [NUMBERS[1][3:], "0" * 2 + NUMBERS[1], "0" + NUMBERS[1][3:], NUMBERS[1][-7:]],
    ids=["without-country-code", "with-prefix", "national", "seven-digits"],
)
def test_a_rewritten_number_is_recognised_whichever_way_its_device_counts(
    number: str, index: int
) -> None:
    assert risen(TaskEvidence.blank(2), report(sent(2, number, index))) == {2: S}


@pytest.mark.parametrize("index", [0, 3, 9])
def test_an_index_that_fits_neither_count_is_a_conflict(index: int) -> None:
    told = report(sent(2, NUMBERS[1][3:], index))
    result = reconcile(places(2), TaskEvidence.blank(2), told)
    assert (result.settled, len(result.conflicts)) == ((), 1)


def test_a_number_as_we_wrote_it_needs_no_index() -> None:
    assert risen(TaskEvidence.blank(2), report(SentRow(number=NUMBERS[1]))) == {2: S}
    assert risen(TaskEvidence.blank(2), report(sent(2, index=77))) == {2: S}


def test_six_digits_are_too_few_to_recognise_a_number() -> None:
    assert risen(TaskEvidence.blank(2), report(sent(2, NUMBERS[1][-6:]))) == {}


def test_a_rewritten_number_without_an_index_is_taken_only_where_it_stands_alone() -> None:
    told = report(SentRow(number=NUMBERS[0][3:]))
    assert risen(TaskEvidence.blank(1), told) == {1: S}
    assert risen(TaskEvidence.blank(2), told) == {}


@pytest.mark.parametrize("index", [0, 1, 2])
def test_numbers_that_end_alike_are_never_told_apart(index: int) -> None:
    # no task is planned so (planner.split); one of an earlier version may still live
    alike = Places(["99915550100", "99925550100"])
    assert alike.find(SentRow(index=index, number="5550100")) is None
    assert alike.find(SentRow(index=index, number="99925550100")) == 2
    assert alike.find(SentRow(index=2, number="25550100")) == 2


def test_a_short_code_is_matched_as_it_is() -> None:
    short = Places(["12345", "99915512345"])
    assert short.find(SentRow(index=1, number="12345")) == 1
    assert short.find(SentRow(index=2, number="5512345")) == 2
    assert short.find(SentRow(index=1, number="0012345")) is None


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
    kept = read_report(places(3), report(counters=counters)).evidence.counters
    assert kept == (counters if fit else None)


def test_a_report_without_counters_leaves_them() -> None:
    before = known(None, None, None, counters=Counters(0, 1, 0, 2))
    assert reconcile(places(3), before, report()).evidence == before


def test_a_missing_unsent_is_what_is_left() -> None:
    told = TaskReport(tid=1, sent=1, failed=1)
    assert read_report(places(3), told).evidence.counters == Counters(0, 1, 1, 1)
    # more than the task holds is no counter of this task, whatever is left out
    assert read_report(places(3), TaskReport(tid=1, sent=9)).evidence.counters is None


def test_the_further_counters_stay() -> None:
    before = known(None, None, counters=Counters(0, 1, 0, 1))
    for counters in (Counters(1, 0, 0, 1), Counters(0, 0, 0, 2), Counters(0, 1, 0, 1)):
        assert reconcile(places(2), before, report(counters=counters)).evidence == before


# conclusions


@pytest.mark.parametrize(
    ("details", "counters", "outcomes", "inferred", "bounds"),
    [
        pytest.param([None, None], None, [None, None], (), "", id="no-counters"),
        pytest.param([None, None], (1, 1, 0, 0), [None, None], (), "", id="not-final"),
        pytest.param([None, None], (0, 2, 0, 0), [S, S], (1, 2), "", id="all-sent"),
        pytest.param([F, None], (0, 1, 1, 0), [F, S], (2,), "", id="the-rest-is-sent"),
        pytest.param([T, None], (0, 1, 1, 0), [T, S], (2,), "", id="6-is-a-failure"),
        pytest.param([S], (0, 1, 0, 0), [S], (), "", id="nothing-missing"),
        pytest.param(
            [S, None], (0, 1, 1, 0), [S, None], (), "among 1: 0 sent, 1 failed",
            id="a-failure-may-have-been-a-timeout",
        ),
        pytest.param(
            [None, None], (0, 1, 1, 0), [None, None], (), "among 2: 1 sent, 1 failed",
            id="which-of-the-two",
        ),
    ],
)  # fmt: skip
def test_elimination_proves_only_the_missing_successes(
    details: list[Outcome | None],
    counters: tuple[int, int, int, int] | None,
    outcomes: list[Outcome | None],
    inferred: tuple[int, ...],
    bounds: str,
) -> None:
    found = conclude(known(*details, counters=Counters(*counters) if counters else None))
    missing = tuple(idx for idx, outcome in enumerate(outcomes, 1) if outcome is None)
    assert found == Conclusion(
        tuple(outcomes), frozenset(inferred), missing if bounds else (), bounds
    )


@pytest.mark.parametrize(
    ("details", "counters"),
    [([S, S, None], (0, 1, 2, 0)), ([F, F, None], (0, 2, 1, 0)), ([F, T, None], (0, 2, 1, 0))],
    ids=["more-sent-than-counted", "more-failed-than-counted", "timeouts-too"],
)
def test_of_a_device_that_contradicts_its_counters_nothing_is_inferred(
    details: list[Outcome | None], counters: tuple[int, int, int, int]
) -> None:
    found = conclude(known(*details, counters=Counters(*counters)))
    assert found.outcomes == tuple(details)
    assert (found.consistent, len(found.contradictions), found.bounds) == (False, 1, "")


def test_counters_without_a_failure_prove_every_place_sent_whatever_details_say() -> None:
    found = conclude(known(F, S, None, counters=Counters(0, 3, 0, 0)))
    assert (found.outcomes, found.inferred) == ((S, S, S), frozenset({1, 3}))
    assert (found.consistent, len(found.contradictions)) == (False, 1)


@pytest.mark.parametrize("cut", [1, 4, 8])
def test_a_task_told_at_once_proves_what_its_halves_prove(cut: int) -> None:
    rows = tuple(sent(idx) for idx in range(1, 10))

    def told(rows: tuple[SentRow, ...], count: int) -> TaskReport:
        return TaskReport(tid=1, sending=0, sent=count, failed=0, unsent=9 - count, sdr=rows)

    at_once = reconcile(places(9), TaskEvidence.blank(9), told(rows, 9))
    half = reconcile(places(9), TaskEvidence.blank(9), told(rows[:cut], cut))
    full = reconcile(places(9), half.evidence, told(rows[cut:], 9))
    assert at_once.evidence == full.evidence
    assert at_once.settled == (*half.settled, *full.settled)
    assert at_once.conflicts == half.conflicts == full.conflicts == ()
