"""The replay: items in any order, doubled or not, add up to the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.planner.reconcile import conclude
from campaign.planner.replay import (
    DELIVERED,
    UNDELIVERED,
    Counted,
    Item,
    Judged,
    Listed,
    Receipted,
    Replay,
    Reported,
    Steered,
    TaskFacts,
    proved_by,
)
from campaign.planner.states import Outcome
from campaign.protocol.messages import FailedRow, SentRow, TaskReport

NUMBERS = ("99915550101", "99915550102")
TASKS = (
    TaskFacts(1, 1, 7, 1, 1000, NUMBERS),
    TaskFacts(2, 1, 8, 2, 1000, NUMBERS[:1]),
    TaskFacts(3, 2, 7, 1, 1000, NUMBERS[1:]),
    TaskFacts(4, 1, 7, 1, 9000, foreign=True),  # task 1's tid came round again, elsewhere
)

GATEWAY, TIME, TID = st.integers(1, 2), st.sampled_from((1500, 9500)), st.integers(6, 8)
NUMBER = st.sampled_from((*NUMBERS, NUMBERS[0][3:], "", "99977777777"))
ROW = st.builds(SentRow, index=st.integers(0, 2), number=NUMBER) | st.builds(
    FailedRow, index=st.integers(0, 2), number=NUMBER, program=st.sampled_from((6, 7))
)


def _report(tid: int, rows: Sequence[SentRow | FailedRow], sent: int, failed: int) -> TaskReport:
    return TaskReport(
        tid=tid, sent=sent, failed=failed,
        sdr=tuple(row for row in rows if isinstance(row, SentRow)),
        fdr=tuple(row for row in rows if isinstance(row, FailedRow)),
    )  # fmt: skip


REPORT = st.builds(_report, TID, st.lists(ROW, max_size=3), st.integers(0, 2), st.integers(0, 2))
ASKED = st.sampled_from(("7", "7,8"))
ITEM: st.SearchStrategy[Item] = st.one_of(
    st.builds(Reported, GATEWAY, TIME, REPORT),
    st.builds(
        Receipted, GATEWAY, TIME, st.none() | st.integers(1, 2), NUMBER, st.booleans(),
        st.tuples(st.none(), st.just(0), st.integers(1, 2)),
    ),
    st.builds(
        Judged, GATEWAY, TIME, st.dictionaries(TID, st.sampled_from((0, 8, 13, 16))), st.booleans()
    ),
    st.builds(Listed, GATEWAY, TIME, ASKED, st.dictionaries(TID, st.booleans())),
    st.builds(Steered, GATEWAY, TIME, ASKED, st.booleans(), st.frozensets(TID)),
    st.builds(Counted, GATEWAY, TIME, st.integers(1, 4)),
)  # fmt: skip


def replayed(*items: Item) -> Replay:
    replay = Replay(TASKS)
    for item in items:
        replay.take(item)
    return replay


def summed(items: Sequence[Item]) -> tuple[Any, ...]:
    replay = replayed(*items)
    nameless = [replay.has_nameless(task) for task in replay.tasks.values()]
    return replay.tasks, nameless, replay.arrivals.all()


@given(st.lists(ITEM, max_size=12), st.data())
def test_any_order_and_any_number_of_times_adds_up_alike(
    items: list[Item], data: st.DataObject
) -> None:
    again = data.draw(st.permutations(items + data.draw(st.lists(st.sampled_from(items)))
                                      if items else items))  # fmt: skip
    assert summed(again) == summed(items)


def test_a_report_is_joined_to_the_task_its_gateway_knows_by_that_tid() -> None:
    told = TaskReport(tid=7, sdr=(SentRow(index=1, number=NUMBERS[0]),))
    replay = replayed(Reported(1, 1500, told))
    assert conclude(replay.tasks[1].evidence).outcomes == (Outcome.SENT, None)
    assert [task.reported for task in replay.tasks.values()] == [True, False, False]


def test_a_tid_that_came_round_again_names_the_newest_task_written_by_then() -> None:
    told = TaskReport(tid=7, sdr=(SentRow(index=1, number=NUMBERS[0]),))
    assert not replayed(Reported(1, 9500, told)).tasks[1].reported


@pytest.mark.parametrize(
    ("port", "number", "gateway", "found"),
    [
        (1, NUMBERS[0], 1, [DELIVERED, 0]),
        (None, NUMBERS[1], 1, [0, DELIVERED]),
        (2, NUMBERS[0], 1, [0, 0]),
        (1, NUMBERS[0], 2, [0, 0]),
        (1, NUMBERS[0][3:], 1, [0, 0]),
    ],
    ids=["its-own", "no-port", "another-port", "another-gateway", "another-number"],
)
def test_a_receipt_supports_the_places_it_names(
    port: int | None, number: str, gateway: int, found: list[int]
) -> None:
    replay = replayed(Receipted(gateway, 1500, port, number, True))
    assert list(replay.tasks[1].receipts) == found


def test_both_kinds_of_receipt_are_kept() -> None:
    both = [Receipted(1, 1500, 1, NUMBERS[0], delivered) for delivered in (True, False)]
    assert replayed(*both).tasks[1].receipts[0] == DELIVERED | UNDELIVERED


def test_verdicts_are_sorted_by_what_they_prove() -> None:
    first, again = (Judged(1, 1500, {7: 13, 8: 16}, repeat) for repeat in (False, True))
    one = replayed(first)
    assert (one.tasks[1].collided, one.tasks[1].taken, one.tasks[2].refused) == (True, False, {16})
    two = replayed(again)  # on a re-post 13 proves the first post, other codes nothing
    assert (two.tasks[1].collided, two.tasks[1].taken, two.tasks[2].refused) == (False, True, set())


def test_waiting_is_proved_by_three_answers_to_one_fence() -> None:
    tids = frozenset({8})
    three: list[Item] = [
        Steered(1, 1500, "8", False, tids),
        Listed(1, 1500, "8", {8: True}),
        Steered(1, 1500, "8", True, tids),
    ]
    assert replayed(*three).tasks[2].waited
    for left_out in range(3):
        assert not replayed(*three[:left_out], *three[left_out + 1 :]).tasks[2].waited
    later = Steered(1, 1600, "8", True, tids)
    assert not replayed(*three[:2], later).tasks[2].waited
    assert not replayed(three[0], Listed(1, 1500, "8", {8: False}), three[2]).tasks[2].waited


SENT, FAILED = SentRow(number=NUMBERS[0]), FailedRow(number=NUMBERS[0], program=7)
TIMEOUT = FailedRow(number=NUMBERS[0], program=6)


@pytest.mark.parametrize(
    ("rows", "counters", "receipt", "bad_content", "proved"),
    [
        ((), None, False, False, (None, "none")),
        ((), None, True, False, (Outcome.SENT, "receipt")),
        ((), None, False, True, (Outcome.FAILED, "accepted")),
        ((), (1, 0), False, False, (Outcome.SENT, "inferred")),
        ((), (1, 0), True, False, (Outcome.SENT, "receipt")),
        ((SENT,), None, True, False, (Outcome.SENT, "report")),
        ((FAILED,), None, False, False, (Outcome.FAILED, "report")),
        ((FAILED,), None, True, False, (Outcome.SENT, "receipt")),
        ((TIMEOUT,), None, False, True, (Outcome.TIMEOUT, "report")),
    ],
)  # fmt: skip
def test_a_detail_beats_a_receipt_and_a_receipt_an_inference(
    rows: tuple[SentRow | FailedRow, ...],
    counters: tuple[int, int] | None,
    receipt: bool,
    bad_content: bool,
    proved: tuple[Outcome | None, str],
) -> None:
    sent, failed = counters or (None, None)
    told = TaskReport(
        tid=8, sent=sent, failed=failed,
        sdr=tuple(row for row in rows if isinstance(row, SentRow)),
        fdr=tuple(row for row in rows if isinstance(row, FailedRow)),
    )  # fmt: skip
    conclusion = replayed(Reported(1, 1500, told)).tasks[2].conclude()
    assert proved_by(conclusion, 1, receipt=receipt, bad_content=bad_content) == proved
