"""Receipts: matched by device, port and number, whenever they come."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from campaign.planner.states import UnknownCause
from campaign.store.outcomes import close_unknown, settle_without_receipts
from campaign.store.receipts import Receipt, fold_receipt


def sent(ledger: Any, size: int = 1, **kwargs: Any) -> int:
    campaign_id: int = ledger.campaign(size, **kwargs)
    task = ledger.claim_one(campaign_id)
    ledger.report(task, sent=range(1, size + 1))
    return campaign_id


@pytest.mark.parametrize(
    ("code", "state"),
    [(0, "delivered"), (70, "undelivered"), (1, "undelivered"), (99, "undelivered"), (33, "sent")],
    ids=["delivered", "expired", "only-forwarded", "gave-up", "still-trying"],
)
def test_a_receipt_says_what_its_code_means(ledger: Any, code: int, state: str) -> None:
    campaign_id = sent(ledger)
    ledger.receipt(ledger.number(1), code, at=2000)
    assert ledger.states(campaign_id) == [state]
    recipient = ledger.recipient(1)
    assert recipient["delivered_at"] == (2000 if state == "delivered" else None)
    assert recipient["code"] == (code if state == "undelivered" else None)


def test_a_final_receipt_follows_one_that_still_tries(ledger: Any) -> None:
    campaign_id = sent(ledger)
    ledger.receipt(ledger.number(1), 33)
    ledger.receipt(ledger.number(1), 0)
    assert ledger.states(campaign_id) == ["delivered"]


def test_the_same_receipt_again_is_told_and_changes_nothing(ledger: Any) -> None:
    campaign_id = sent(ledger, parts=2)
    assert ledger.receipt(ledger.number(1))
    assert not ledger.receipt(ledger.number(1))
    assert ledger.states(campaign_id) == ["sent"]


def test_every_part_wants_its_receipt(ledger: Any) -> None:
    campaign_id = sent(ledger, parts=3)
    for ordinal, state in ((1, "sent"), (2, "sent"), (3, "delivered")):
        ledger.receipt(ledger.number(1), ordinal=ordinal)
        assert ledger.states(campaign_id) == [state]


@pytest.mark.parametrize("codes", [(0, 70), (70, 0)], ids=["last", "first"])
def test_one_part_that_was_not_delivered_is_enough_in_any_order(
    ledger: Any, codes: tuple[int, int]
) -> None:
    campaign_id = sent(ledger, parts=2)
    for code in codes:
        ledger.receipt(ledger.number(1), code)
    assert ledger.states(campaign_id) == ["undelivered"]


def test_receipts_of_one_message_never_spill_over_to_an_older_one(ledger: Any) -> None:
    older = sent(ledger, name="older", parts=2)
    newer = sent(ledger, name="newer", parts=2)
    ledger.receipt(ledger.number(1), 70)
    ledger.receipt(ledger.number(1), 0)
    assert ledger.states(newer) == ["undelivered"]
    assert ledger.attempt(1)["receipts"] == 0
    assert ledger.states(older) == ["sent"]


def test_a_receipt_belongs_to_the_newest_message_without_one(ledger: Any) -> None:
    older = sent(ledger, name="older")
    newer = sent(ledger, name="newer")
    ledger.receipt(ledger.number(1), at=2000)
    assert (ledger.states(older), ledger.states(newer)) == (["sent"], ["delivered"])
    ledger.receipt(ledger.number(1), at=2001)
    assert ledger.states(older) == ["delivered"]


def test_a_receipt_from_before_the_message_is_not_its_own(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    ledger.report(ledger.claim_one(campaign_id), sent=[1], at=5000)
    ledger.receipt(ledger.number(1), at=4999)
    assert ledger.states(campaign_id) == ["sent"]


def test_a_receipt_from_before_the_message_is_not_its_own_when_it_was_parked_either(
    ledger: Any,
) -> None:
    campaign_id = ledger.campaign(1)
    task = ledger.claim_one(campaign_id)
    ledger.receipt(ledger.number(1), at=4999)
    ledger.report(task, sent=[1], at=5000)
    assert ledger.states(campaign_id) == ["sent"]


@pytest.mark.parametrize(
    ("port", "gateway"), [(2, "gw"), (1, "other")], ids=["another-port", "another-gateway"]
)
def test_a_receipt_from_elsewhere_does_not_match(ledger: Any, port: int, gateway: str) -> None:
    campaign_id = sent(ledger)
    ledger.receipt(ledger.number(1), port=port, gateway=gateway)
    assert ledger.states(campaign_id) == ["sent"]


def test_a_receipt_that_does_not_name_its_port_matches_by_number(ledger: Any) -> None:
    campaign_id = sent(ledger)
    ledger.receipt(ledger.number(1), port=None)
    assert ledger.states(campaign_id) == ["delivered"]


# receipts that come first


def test_a_receipt_before_its_detail_is_parked_and_matched_later(ledger: Any) -> None:
    campaign_id = ledger.campaign(2)
    task = ledger.claim_one(campaign_id)
    ledger.receipt(ledger.number(1))
    assert ledger.states(campaign_id) == ["assigned", "assigned"]
    ledger.report(task, sent=[1])
    assert ledger.states(campaign_id) == ["delivered", "assigned"]


def test_a_parked_receipt_is_matched_by_an_inferred_success_too(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    task = ledger.claim_one(campaign_id)
    ledger.receipt(ledger.number(1))
    ledger.report(task, counters=(0, 1, 0, 0))
    assert ledger.states(campaign_id) == ["delivered"]


def test_all_parts_may_be_parked(ledger: Any) -> None:
    campaign_id = ledger.campaign(1, parts=2)
    task = ledger.claim_one(campaign_id)
    for ordinal in (1, 2):
        ledger.receipt(ledger.number(1), ordinal=ordinal)
    ledger.report(task, sent=[1])
    assert ledger.states(campaign_id) == ["delivered"]
    assert ledger.attempt(task.id)["receipts"] == 2


def test_more_parked_receipts_than_parts_do_no_harm(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    task = ledger.claim_one(campaign_id)
    for at in (2000, 2001, 2002):
        ledger.receipt(ledger.number(1), at=at)
    ledger.report(task, sent=[1])
    assert ledger.states(campaign_id) == ["delivered"]
    assert ledger.attempt(task.id)["receipts"] == 1


def test_a_receipt_parked_before_the_intent_is_not_the_messages_own(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    ledger.receipt(ledger.number(1))
    ledger.now += 1
    ledger.report(ledger.claim_one(campaign_id), sent=[1])
    assert ledger.states(campaign_id) == ["sent"]


def test_a_parked_receipt_does_not_turn_a_failure_into_a_delivery_of_its_retry(
    ledger: Any,
) -> None:
    campaign_id = ledger.campaign(1)
    ledger.receipt(ledger.number(1))
    task = ledger.claim_one(campaign_id)
    ledger.report(task, failed=[(1, 7, None)])
    assert ledger.states(campaign_id) == ["held"]


# receipts as evidence


def test_a_receipt_proves_what_was_unknown(ledger: Any) -> None:
    campaign_id = ledger.campaign(2)
    task = ledger.claim_one(campaign_id)
    ledger.do(close_unknown, ledger.now, task.id, UnknownCause.SILENCE, "no word")
    ledger.receipt(ledger.number(1))
    ledger.receipt(ledger.number(2), 70)
    assert ledger.states(campaign_id) == ["delivered", "undelivered"]
    assert (ledger.recipient(1)["cause"], ledger.recipient(1)["evidence"]) == (None, "receipt")
    assert (ledger.attempt(task.id)["outcome"], ledger.attempt(task.id)["evidence"]) == (
        "sent", "receipt",
    )  # fmt: skip


def test_the_first_of_several_parts_proves_sent(ledger: Any) -> None:
    campaign_id = ledger.campaign(1, parts=2)
    task = ledger.claim_one(campaign_id)
    ledger.do(close_unknown, ledger.now, task.id, UnknownCause.SILENCE, "no word")
    ledger.receipt(ledger.number(1))
    assert ledger.states(campaign_id) == ["sent"]
    ledger.receipt(ledger.number(1), ordinal=2)
    assert ledger.states(campaign_id) == ["delivered"]


def test_a_parked_receipt_keeps_its_recipient_from_becoming_unknown(ledger: Any) -> None:
    campaign_id = ledger.campaign(3, parts=2)
    task = ledger.claim_one(campaign_id)
    for ordinal in (1, 2):
        ledger.receipt(ledger.number(1), ordinal=ordinal)
    ledger.receipt(ledger.number(2))
    assert ledger.do(close_unknown, ledger.now, task.id, UnknownCause.SILENCE, "no word") == 1
    assert ledger.states(campaign_id) == ["delivered", "sent", "unknown"]


def test_a_detail_after_the_receipt_adds_nothing(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    task = ledger.claim_one(campaign_id)
    ledger.do(close_unknown, ledger.now, task.id, UnknownCause.SILENCE, "no word")
    ledger.receipt(ledger.number(1))
    ledger.report(task, sent=[1])
    assert ledger.states(campaign_id) == ["delivered"]
    assert not ledger.incidents()


@pytest.mark.parametrize("receipt_first", [False, True], ids=["after", "before"])
def test_a_receipt_refines_a_failure_since_only_what_was_sent_has_receipts(
    ledger: Any, receipt_first: bool
) -> None:
    campaign_id = ledger.campaign(1)
    task = ledger.claim_one(campaign_id)
    steps = [
        lambda: ledger.report(task, failed=[(1, 7, 1)]),
        lambda: ledger.receipt(ledger.number(1)),
    ]
    for step in reversed(steps) if receipt_first else steps:
        step()
    assert ledger.states(campaign_id) == ["delivered"]
    assert ledger.incidents() == {"anomaly": 1}


def test_a_receipt_prefers_a_message_that_was_sent_to_one_that_failed(ledger: Any) -> None:
    older = sent(ledger, name="older")
    newer = ledger.campaign(1, name="newer")
    ledger.report(ledger.claim_one(newer), failed=[(1, 7, 1)])
    ledger.receipt(ledger.number(1))
    assert (ledger.states(older), ledger.states(newer)) == (["delivered"], ["failed"])


def test_a_late_receipt_refines_no_receipt(ledger: Any) -> None:
    campaign_id = sent(ledger, 2)
    ledger.do(settle_without_receipts, ledger.now, campaign_id)
    ledger.receipt(ledger.number(1))
    ledger.receipt(ledger.number(2), 70)
    assert ledger.states(campaign_id) == ["delivered", "undelivered"]


# receipts without a number


def test_a_receipt_without_a_number_fits_the_only_candidate(ledger: Any) -> None:
    campaign_id = sent(ledger)
    ledger.receipt("")
    assert ledger.states(campaign_id) == ["delivered"]


def test_a_receipt_without_a_number_is_never_guessed(ledger: Any) -> None:
    campaign_id = sent(ledger, 2)
    ledger.receipt("")
    assert ledger.states(campaign_id) == ["sent", "sent"]
    assert ledger.incidents() == {"anomaly": 1}


def test_a_receipt_for_nobody_is_kept_and_moves_nothing(ledger: Any) -> None:
    ledger.receipt("99912345678")
    ledger.receipt("")
    (kept,) = ledger.conn.execute("SELECT count(*) FROM receipts WHERE task_id IS NULL").fetchone()
    assert kept == 2
    assert not ledger.incidents()


def test_a_receipt_without_port_number_and_time_is_a_value_too(ledger: Any) -> None:
    campaign_id = sent(ledger)
    gateway_id = ledger.gateway()
    assert ledger.do(fold_receipt, ledger.now, gateway_id, Receipt(None, "", None, 0))
    assert ledger.states(campaign_id) == ["delivered"]


# order


DETAILS: dict[str, dict[str, Any]] = {
    "sent": {"sent": [1]},
    "timeout": {"failed": [(1, 6, None)]},
    "failed": {"failed": [(1, 7, 1)]},
    "inferred": {"counters": (0, 1, 0, 0)},
    "none": {},
}


@pytest.mark.parametrize("order", list(itertools.permutations(("detail", "receipt", "close"))))
@pytest.mark.parametrize("code", [0, 65], ids=["delivered", "undelivered"])
@pytest.mark.parametrize("detail", DETAILS)
def test_the_order_of_detail_receipt_and_closing_does_not_matter(
    ledger: Any, detail: str, code: int, order: tuple[str, ...]
) -> None:
    campaign_id = ledger.campaign(1)
    task = ledger.claim_one(campaign_id)
    steps = {
        "detail": lambda: ledger.report(task, **DETAILS[detail]),
        "receipt": lambda: ledger.receipt(ledger.number(1), code),
        "close": lambda: ledger.do(
            close_unknown, ledger.now, task.id, UnknownCause.SILENCE, "no word"
        ),
    }
    for step in order:
        steps[step]()
    assert ledger.states(campaign_id) == ["delivered" if code == 0 else "undelivered"]
    attempt = ledger.attempt(task.id)
    evidence = "report" if detail == "sent" else "receipt"
    assert (attempt["outcome"], attempt["evidence"]) == ("sent", evidence)


@pytest.mark.parametrize("receipt_first", [True, False])
def test_a_detail_is_better_evidence_than_a_receipt_whichever_comes_first(
    ledger: Any, receipt_first: bool
) -> None:
    campaign_id = ledger.campaign(1)
    task = ledger.claim_one(campaign_id)
    ledger.do(close_unknown, ledger.now, task.id, UnknownCause.SILENCE, "no word")
    steps = [lambda: ledger.receipt(ledger.number(1)), lambda: ledger.report(task, sent=[1], at=77)]
    for step in steps if receipt_first else reversed(steps):
        step()
    assert ledger.states(campaign_id) == ["delivered"]
    assert (ledger.recipient(1)["evidence"], ledger.recipient(1)["sent_at"]) == ("receipt", 77)
    attempt = ledger.attempt(task.id)
    assert (attempt["evidence"], attempt["at"], attempt["told"]) == ("report", 77, 4)


@pytest.mark.parametrize("receipt_first", [True, False])
def test_a_receipt_is_better_evidence_than_an_inference_whichever_comes_first(
    ledger: Any, receipt_first: bool
) -> None:
    campaign_id = ledger.campaign(1)
    task = ledger.claim_one(campaign_id)
    ledger.do(close_unknown, ledger.now, task.id, UnknownCause.SILENCE, "no word")
    steps = [
        lambda: ledger.receipt(ledger.number(1)),
        lambda: ledger.report(task, counters=(0, 1, 0, 0)),
    ]
    for step in steps if receipt_first else reversed(steps):
        step()
    assert ledger.states(campaign_id) == ["delivered"]
    assert ledger.attempt(task.id)["evidence"] == "receipt"


def unknown(ledger: Any, **kwargs: Any) -> int:
    campaign_id: int = ledger.campaign(1, **kwargs)
    task = ledger.claim_one(campaign_id)
    ledger.do(close_unknown, ledger.now, task.id, UnknownCause.SILENCE, "no report")
    return campaign_id


def test_one_that_came_before_a_message_was_sent_is_not_its_receipt(ledger: Any) -> None:
    campaign_id = unknown(ledger)
    before = ledger.now - 10 * 3_600_000
    ledger.do(fold_receipt, before, ledger.gateway("gw"), Receipt(1, ledger.number(1), 2000, 0))
    assert ledger.states(campaign_id) == ["unknown"]
