"""The account: one fate for every message, and sums that close whatever arrives in any order."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.load.account import Account
from campaign.load.books import Books
from campaign.load.driver import Ended
from campaign.load.naming import Names, Recipients
from campaign.load.wire import ErrorKind, Failure, Outcome, Reply
from campaign.load.witness import ACCEPTED, IN_DOUBT, UNSENT, Parcel, Witness
from campaign.load.workload import Ask, Mix, Workload
from campaign.protocol.messages import (
    FailedRow,
    ReceivedSms,
    SentRow,
    StatusReport,
    TaskReport,
)
from campaign.protocol.ports import Port
from campaign.protocol.session import Login

FEW = Recipients(("447700900001", "447700900002", "447700900003"))
MS = 1000


def told(send: int, *codes: int, intended: float = 0.0, done: float = 0.1) -> Parcel:
    return Parcel(array("Q", [send]), array("d", [intended]), array("d", [done]), array("h", codes))


def sent(names: Names, task: int, to: str, port: int = 1) -> StatusReport:
    row = SentRow(number=to, port=Port(port))
    return StatusReport(reports=(TaskReport(tid=names.tid(task), sent=1, sdr=(row,)),))


def failed(names: Names, task: int, to: str) -> StatusReport:
    row = FailedRow(number=to, port=Port(1), program=7)
    return StatusReport(reports=(TaskReport(tid=names.tid(task), failed=1, fdr=(row,)),))


def receipt(to: str, port: int = 1, at: int = 5, raw: str = "0 1") -> ReceivedSms:
    return ReceivedSms(receipt=True, recipient=to, port=Port(port), at=at, receipt_code=0, raw=raw)


def settled(account: Account) -> Books:
    books = account.close()
    assert books.broken_laws() == []
    return books


# -- whatever arrives in whatever order

events = st.one_of(
    st.tuples(st.just("told"), st.integers(0, 7), st.integers(0, 3)),
    st.tuples(st.just("sent"), st.integers(0, 15), st.integers(0, 3)),
    st.tuples(st.just("failed"), st.integers(0, 15), st.integers(0, 3)),
    st.tuples(st.just("receipt"), st.integers(0, 15), st.integers(1, 2)),
    st.tuples(st.just("totals"), st.integers(0, 15), st.integers(0, 3)),
    st.tuples(st.just("stranger"), st.just(0), st.just(0)),
    st.tuples(st.just("match"), st.just(0), st.just(0)),
    st.tuples(st.just("remove"), st.integers(0, 15), st.just(0)),
)
VERDICTS = (ACCEPTED, 16, IN_DOUBT, UNSENT)


class Naive:
    """The same with a dictionary for everything, and nothing clever."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.codes: dict[int, int] = {}
        self.words: dict[tuple[int, str], str] = {}
        self.rows = 0

    def expected(self) -> dict[str, int]:
        count: Counter[str] = Counter()
        for task, code in self.codes.items():
            for number in self.names.numbers(task):
                word = self.words.get((task, number), "silent")
                count["offered"] += 1
                count[f"{code} {word}"] += 1
        return count


@given(
    st.lists(events, max_size=60),
    st.sampled_from((Names(2**31 - 4, 2, 2), Names(7, 2, 2, FEW), Names(7, 2, 1, FEW))),
)
def test_the_sums_close_whatever_arrives_in_whatever_order(
    happened: Sequence[tuple[str, int, int]], names: Names
) -> None:
    account, naive, receipts = Account(names), Naive(names), 0
    for nth, (what, which, how) in enumerate(happened):
        numbers = [*names.numbers(which), "4915551"]
        to = numbers[how % len(numbers)]
        match what:
            case "told" if which * 2 not in naive.codes:
                codes = [VERDICTS[how], VERDICTS[(how + 1) % 4]]
                account.take(told(which, *codes, done=0.1))
                naive.codes.update({which * 2: codes[0], which * 2 + 1: codes[1]})
            case "sent" | "failed":
                push = sent(names, which, to) if what == "sent" else failed(names, which, to)
                account.hear(push, float(nth))
                naive.rows += 1
                if to != "4915551":
                    naive.words.setdefault((which, to), what)
            case "receipt":
                account.receipt(receipt(numbers[0], how, at=nth % 3), float(nth))
                receipts += 1
            case "totals":
                total = TaskReport(tid=names.tid(which), sent=how)
                account.hear(StatusReport(reports=(total,)), float(nth))
            case "stranger":
                account.hear(sent(names, 2**30, "4915551"), float(nth))
                naive.rows += 1
            case "match":
                account.match_receipts()
                assert account.books().broken_laws() == []
            case "remove":
                account.remove([names.tid(which)])
    books, expected = settled(account), naive.expected()
    assert (books.offered, books.rows, books.receipts) == (
        expected["offered"],
        naive.rows,
        receipts,
    )
    assert (books.sent, books.failed) == (expected["0 sent"], expected["0 failed"])
    assert (books.doubt_sent, books.doubt_failed) == (expected["-1 sent"], expected["-1 failed"])
    assert books.counted + books.removed + books.unreported == expected["0 silent"]
    assert books.first == len(naive.words)
    heard = books.sent + books.failed
    assert account.delays["report_uncorrected"].count == heard
    assert account.delays["report"].count == heard + books.doubt_sent + books.doubt_failed
    assert account.delays["receipt"].count == books.matched


@given(st.permutations(range(6)))
def test_a_delay_is_the_same_whichever_of_its_ends_is_told_first(order: list[int]) -> None:
    names = Names(50)
    account = Account(names)
    events = [
        lambda: account.take(told(0, ACCEPTED, intended=1.0, done=1.2)),
        lambda: account.take(told(1, ACCEPTED, intended=2.0, done=2.1)),
        lambda: account.hear(sent(names, 0, "999000000000"), 3.2),
        lambda: account.hear(sent(names, 1, "999000000001"), 3.1),
        lambda: account.receipt(receipt("+999000000000"), 5.2),
        account.match_receipts,
    ]
    for place in order:
        events[place]()
    books = settled(account)
    assert (books.accepted, books.sent, books.unreported, books.matched) == (2, 2, 0, 1)
    assert {clock: (found.min, found.max) for clock, found in account.delays.items()} == {
        "report_uncorrected": (1000 * MS, 2000 * MS),
        "report": (1100 * MS, 2200 * MS),
        "receipt_uncorrected": (4000 * MS, 4000 * MS),
        "receipt": (4200 * MS, 4200 * MS),
    }


# -- receipts


def test_of_several_messages_to_a_number_the_oldest_of_that_port_gets_the_receipt() -> None:
    names = Names(50, to=Recipients(("447700900001",)))
    account = Account(names)
    for send in range(4):
        account.take(told(send, ACCEPTED, done=float(send)))
        account.hear(sent(names, send, "447700900001", port=1 + send % 2), 4.0)
    account.receipt(receipt("447700900001", port=2), 11.0)
    account.receipt(receipt("447700900001", port=2, at=6), 13.0)
    account.receipt(receipt("447700900001", port=9), 13.0)
    books = settled(account)
    assert (books.matched, books.ambiguous, books.unmatched) == (2, 1, 1)
    assert (
        account.delays["receipt_uncorrected"].min,
        account.delays["receipt_uncorrected"].max,
    ) == (10_000 * MS, 10_000 * MS)


def test_a_receipt_that_comes_twice_takes_no_second_message() -> None:
    names = Names(50, to=Recipients(("447700900001",)))
    account = Account(names)
    account.take(told(0, ACCEPTED))
    account.take(told(1, ACCEPTED))
    for _ in range(2):
        account.receipt(receipt("447700900001"), 2.0)
    books = settled(account)
    assert (books.matched, books.receipts_again) == (1, 1)


def test_further_parts_and_receipts_of_failed_messages_are_told_apart_from_unknown_ones() -> None:
    names = Names(50)
    account = Account(names)
    account.take(told(0, ACCEPTED))
    account.take(told(1, ACCEPTED))
    account.take(told(2, 16))
    account.hear(failed(names, 1, "999000000001"), 1.0)
    for number, raw in ((0, "0 1"), (0, "0 2"), (1, "0 3"), (2, "0 4")):
        account.receipt(receipt(f"99900000000{number}", raw=raw), 2.0)
    account.receipt(receipt("4915551"), 2.0)
    books = settled(account)
    assert (books.matched, books.receipts_again) == (2, 1)
    assert (books.unmatched, books.receipts_foreign) == (1, 1)


def test_a_receipt_waits_for_the_word_of_the_worker_that_sent_its_message() -> None:
    account = Account(Names(50))
    account.receipt(receipt("999000000003"), 1.5)
    account.match_receipts()
    assert account.books().unmatched == 1
    account.take(told(3, IN_DOUBT, intended=0.5))
    account.match_receipts()
    books = settled(account)
    assert (books.matched, books.unmatched) == (1, 0)
    assert account.delays["receipt_uncorrected"].count == 0
    assert account.delays["receipt"].max == 1000 * MS


# -- what is lost, and what is taken back


def test_what_only_the_totals_of_a_task_tell_is_counted_but_not_named() -> None:
    names = Names(50, recipients=3)
    account = Account(names)
    account.take(told(0, ACCEPTED))
    row = SentRow(number="999000000001")
    late = TaskReport(tid=50, sent=2, failed=7, sdr=(row,))
    account.hear(StatusReport(reports=(late,)), 1.0)
    books = settled(account)
    assert (books.sent, books.counted, books.unreported) == (1, 2, 0)
    assert list(account.outstanding()) == []


def test_what_was_taken_back_is_no_lost_report_unless_it_had_gone_out() -> None:
    names = Names(50, tasks=2)
    account = Account(names)
    account.take(told(0, ACCEPTED, ACCEPTED))
    account.take(told(1, IN_DOUBT, 16))
    assert list(account.outstanding()) == [50, 51, 52]
    account.remove([50, 51])
    account.hear(sent(names, 0, "999000000000"), 1.0)
    books = settled(account)
    assert (books.sent, books.removed, books.unreported, books.doubt_silent) == (1, 1, 0, 1)
    assert account.owns(51, ["999000000001"])
    assert not account.owns(51, ["999000000002"])


def test_a_report_about_what_was_refused_or_never_told_is_unexpected() -> None:
    names = Names(50)
    account = Account(names)
    account.take(told(0, 16))
    account.hear(sent(names, 0, "999000000000"), 1.0)
    account.hear(sent(names, 9, "999000000009"), 1.0)
    books = settled(account)
    assert (books.unexpected, books.refused, books.first) == (2, {16: 1}, 2)
    assert books.figures()["refused_16"] == 1


def test_a_strangers_task_id_costs_no_memory() -> None:
    names = Names(50)
    account = Account(names)
    account.hear(sent(names, 2**30, f"999{2**30 % 10**9:09d}"), 1.0)
    assert account.messages == 0
    assert settled(account).foreign == 1


def test_a_broken_sum_is_told() -> None:
    assert Books(offered=2, accepted=1, sent=1, rows=1, first=1).broken_laws() == [
        "offered = accepted + refused + in doubt + unsent: 2 is not 1"
    ]


# -- what workers see

NAMES = Names(100, tasks=2)
WORKLOAD = Workload("h", Login("root", "root"), NAMES, "x", mix=Mix.parse("send=1,status=1"))


def reply(body: bytes, status: int = 200) -> Reply:
    return Reply(status, body, 1.0, 100)


@pytest.mark.parametrize(
    ("outcome", "codes"),
    [
        (Failure(ErrorKind.REFUSED, None), [UNSENT, UNSENT]),
        (Failure(ErrorKind.TIMEOUT, 1.0), [IN_DOUBT, IN_DOUBT]),
        (reply(b"Service Unavailable", 503), [IN_DOUBT, IN_DOUBT]),
        (reply(b"", 401), [1, 1]),
        (reply(b'{"code":14,"reason":"Unauthorized"}'), [14, 14]),
        (reply(b"<html>"), [IN_DOUBT, IN_DOUBT]),
        (reply(b'{"code":200}'), [IN_DOUBT, IN_DOUBT]),
        (
            reply(b'{"code":200,"status":[{"tid":103,"status":"16 Too Many Task"}]}'),
            [IN_DOUBT, 16],
        ),
        (
            reply(
                b'{"code":200,"status":[{"tid":103,"status":"0 OK"},{"tid":"102","status":"0"}]}'
            ),
            [0, 0],
        ),
        (reply(b'{"code":200,"status":[{"tid":102,"status":-7}]}'), [IN_DOUBT, IN_DOUBT]),
    ],
)
def test_what_an_answer_does_not_say_is_in_doubt(outcome: Outcome, codes: list[int]) -> None:
    witness = Witness(WORKLOAD, 0, 1)
    walk = WORKLOAD.walk(0, 1)
    nths = [nth for nth in range(4) if walk.step(nth)[0] is Ask.SEND]
    witness.see(Ended(nths[1], 10.5, outcome, 10.75), 10.0)
    witness.see(Ended(1 - nths[0] % 2, 10.5, outcome, 10.75), 10.0)  # a status poll
    parcel = witness.take()
    assert (list(parcel.sends), list(parcel.codes)) == ([1], codes)
    assert (list(parcel.intended), list(parcel.done)) == ([0.5], [0.75])
    assert len(witness.take()) == 0
