"""Outcomes: reports move attempts and recipients, by evidence only and in any order."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from campaign.planner.reconcile import Counters
from campaign.planner.states import CampaignState, FenceReason, UnknownCause
from campaign.protocol.messages import FailedRow, SentRow, TaskReport
from campaign.store.campaigns import campaign_options
from campaign.store.claims import reclaim_planned, release
from campaign.store.outcomes import (
    ambiguity,
    close_unknown,
    settle_without_receipts,
    task_counters,
)
from campaign.store.tasks import mark_doubt, mark_planned, start_fence

PERMANENT = (7, 1)
TRANSIENT = (7, None)
PORT_GONE = (5, None)
TIMEOUT = (6, None)


def test_a_sent_detail_settles_recipient_attempt_task_and_pace(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    task = ledger.claim_one(campaign_id, ports=(3,))
    ledger.report(task, sent=[1], at=77)
    recipient = ledger.recipient(1)
    assert (recipient["state"], recipient["evidence"]) == ("sent", "report")
    assert (recipient["port"], recipient["sent_at"], recipient["tid"]) == ("3", 77, task.tid)
    assert recipient["iccid"] == f"89{3:018}"
    assert ledger.attempt(task.id)["outcome"] == "sent"
    assert ledger.task(task.id)["state"] == "closed"
    assert (ledger.folded.done, ledger.folded.streaks) == ({3: 1}, [(3, True)])
    assert ledger.folded.closed == [task.id]


def test_a_report_is_the_answer_that_was_lost(ledger: Any) -> None:
    campaign_id = ledger.campaign(2)
    task = ledger.claim_one(campaign_id)
    ledger.do(mark_doubt, [task.id], ledger.now, UnknownCause.NO_ANSWER)
    ledger.now += 1000
    ledger.report(task, sent=[1])
    row = ledger.task(task.id)
    assert (row["state"], row["accepted_ms"], row["news_ms"]) == (
        "accepted", ledger.now, ledger.now,
    )  # fmt: skip
    assert ledger.states(campaign_id) == ["sent", "assigned"]


def test_the_same_report_twice_changes_nothing(ledger: Any) -> None:
    campaign_id = ledger.campaign(3)
    task = ledger.claim_one(campaign_id)
    facts = {"sent": [1], "failed": [(2, *TRANSIENT), (3, *TIMEOUT)], "counters": (0, 1, 2, 0)}
    ledger.report(task, **facts)
    before = [tuple(ledger.recipient(n)) for n in (1, 2, 3)]
    ledger.report(task, **facts)
    assert [tuple(ledger.recipient(n)) for n in (1, 2, 3)] == before
    assert not ledger.incidents()
    assert len(ledger.decisions("retry")) == 1


@pytest.mark.parametrize(
    ("failure", "state", "failures", "cause"),
    [
        pytest.param(PERMANENT, "failed", 1, None, id="permanent"),
        pytest.param(TRANSIENT, "held", 1, "backoff", id="transient"),
        pytest.param((7, 42), "held", 1, "backoff", id="transient-by-cause"),
        pytest.param(PORT_GONE, "held", 1, "backoff", id="port"),
        pytest.param(TIMEOUT, "unknown", 0, "timeout", id="timeout"),
        pytest.param((99, None), "unknown", 0, "timeout", id="code-of-no-table"),
        pytest.param((None, None), "unknown", 0, "timeout", id="no-code"),
    ],
)
def test_a_failure_leads_where_its_code_says(
    ledger: Any, failure: tuple[int, int | None], state: str, failures: int, cause: str | None
) -> None:
    campaign_id = ledger.campaign(1)
    task = ledger.claim_one(campaign_id)
    ledger.report(task, failed=[(1, *failure)])
    recipient = ledger.recipient(1)
    assert (recipient["state"], recipient["failures"], recipient["cause"]) == (
        state, failures, cause,
    )  # fmt: skip
    assert ledger.task(task.id)["state"] == "closed"


def test_a_failed_recipient_avoids_its_places_and_waits_longer_each_time(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    waits = []
    gateway_id = ledger.gateway()
    for port, avoided in ((1, f"{gateway_id}:1"), (2, f"{gateway_id}:1,{gateway_id}:2")):
        ledger.report(ledger.claim_one(campaign_id, ports=(port,)), failed=[(1, *TRANSIENT)])
        recipient = ledger.recipient(1)
        assert recipient["avoid"] == avoided
        waits.append(recipient["due_ms"] - ledger.now)
        ledger.now = recipient["due_ms"]
    assert waits == [10_000, 20_000]
    ledger.report(ledger.claim_one(campaign_id, ports=(3,)), failed=[(1, *TRANSIENT)])
    assert ledger.states(campaign_id) == ["failed"]
    assert ledger.recipient(1)["attempts"] == 3
    assert len(ledger.decisions("retry")) == 2


def test_a_port_that_cannot_send_costs_no_wait(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    ledger.report(ledger.claim_one(campaign_id), failed=[(1, *PORT_GONE)])
    assert ledger.recipient(1)["due_ms"] == ledger.now


def test_only_failures_that_are_not_the_numbers_own_count_against_a_port(ledger: Any) -> None:
    task = ledger.claim_one(ledger.campaign(4))
    failed = [(1, *PERMANENT), (2, *TRANSIENT), (3, *TIMEOUT), (4, *PORT_GONE)]
    ledger.report(task, failed=failed)
    assert ledger.folded.streaks == [(1, False), (1, False)]
    assert ledger.folded.done == {1: 4}


# late evidence


def test_late_evidence_after_unknown_still_applies(ledger: Any) -> None:
    campaign_id = ledger.campaign(3)
    task = ledger.claim_one(campaign_id)
    ledger.do(close_unknown, ledger.now, task.id, UnknownCause.SILENCE, "no word")
    assert ledger.states(campaign_id) == ["unknown"] * 3
    ledger.report(task, sent=[1], failed=[(2, *PERMANENT), (3, *TRANSIENT)])
    assert ledger.states(campaign_id) == ["sent", "failed", "held"]
    assert not ledger.incidents()


def test_a_late_timeout_leaves_unknown_unknown(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    task = ledger.claim_one(campaign_id)
    ledger.do(close_unknown, ledger.now, task.id, UnknownCause.SILENCE, "no word")
    ledger.report(task, failed=[(1, *TIMEOUT)])
    assert ledger.states(campaign_id) == ["unknown"]


def test_a_timeout_rises_to_sent(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    task = ledger.claim_one(campaign_id)
    ledger.report(task, failed=[(1, *TIMEOUT)])
    ledger.report(task, sent=[1])
    assert ledger.states(campaign_id) == ["sent"]
    assert not ledger.incidents()


def test_a_timeout_rises_to_a_proved_failure(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    task = ledger.claim_one(campaign_id)
    ledger.report(task, failed=[(1, *TIMEOUT)])
    ledger.report(task, failed=[(1, *PERMANENT)])
    assert ledger.states(campaign_id) == ["failed"]


@pytest.mark.parametrize("failure", [PERMANENT, TRANSIENT], ids=["failed", "held"])
def test_sent_beats_failed_and_the_contradiction_is_on_record(
    ledger: Any, failure: tuple[int, int | None]
) -> None:
    campaign_id = ledger.campaign(1)
    task = ledger.claim_one(campaign_id)
    ledger.report(task, failed=[(1, *failure)])
    ledger.report(task, sent=[1])
    assert ledger.states(campaign_id) == ["sent"]
    assert ledger.incidents()["anomaly"] >= 1
    ledger.now += 60_000
    assert ledger.claim(campaign_id, ports=(2,)) == []


def test_a_failure_after_sent_changes_nothing_but_is_on_record(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    task = ledger.claim_one(campaign_id)
    ledger.report(task, sent=[1])
    ledger.report(task, failed=[(1, *TRANSIENT)])
    assert ledger.states(campaign_id) == ["sent"]
    assert ledger.incidents() == {"anomaly": 1}


def retried(ledger: Any) -> tuple[int, Any, Any]:
    """A campaign of one recipient that failed once and is in its second attempt."""
    campaign_id = ledger.campaign(1)
    first = ledger.claim_one(campaign_id, ports=(1,))
    ledger.report(first, failed=[(1, *TRANSIENT)])
    ledger.now += 60_000
    return campaign_id, first, ledger.claim_one(campaign_id, ports=(2,))


def test_two_attempts_reported_sent_are_a_duplicate(ledger: Any) -> None:
    campaign_id, first, second = retried(ledger)
    ledger.report(second, sent=[1])
    ledger.report(first, sent=[1])
    assert ledger.states(campaign_id) == ["sent"]
    assert ledger.incidents()["duplicate"] == 1


def test_two_attempts_reported_sent_are_a_duplicate_in_the_other_order_too(ledger: Any) -> None:
    campaign_id, first, second = retried(ledger)
    ledger.report(first, sent=[1])
    ledger.report(second, sent=[1])
    assert ledger.states(campaign_id) == ["sent"]
    assert ledger.incidents()["duplicate"] == 1


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(
            lambda ledger, task: ledger.report(task, failed=[(1, *TRANSIENT)]), id="failed"
        ),
        pytest.param(lambda ledger, task: ledger.report(task, failed=[(1, *TIMEOUT)]), id="6"),
        pytest.param(
            lambda ledger, task: ledger.do(release, task.id, ledger.now, "x"), id="unsent"
        ),
        pytest.param(
            lambda ledger, task: ledger.do(
                close_unknown, ledger.now, task.id, UnknownCause.SILENCE, "x"
            ),
            id="unknown",
        ),
    ],
)
def test_once_an_earlier_attempt_proves_sent_nothing_sends_that_recipient_again(
    ledger: Any, end: Callable[[Any, Any], None]
) -> None:
    campaign_id, first, second = retried(ledger)
    ledger.report(first, sent=[1])
    end(ledger, second)
    assert ledger.states(campaign_id) == ["sent"]
    ledger.now += 3_600_000
    assert ledger.claim(campaign_id, ports=(3,)) == []


def test_a_late_failure_of_an_older_attempt_proves_nothing_of_the_newer_one(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    first = ledger.claim_one(campaign_id)
    ledger.do(close_unknown, ledger.now, first.id, UnknownCause.SILENCE, "no word")
    # an operator chose to send again
    ledger.conn.execute("UPDATE recipients SET state = 'pending', cause = NULL")
    ledger.conn.execute("UPDATE tallies SET n = 1 - n WHERE state IN ('pending', 'unknown')")
    second = ledger.claim_one(campaign_id)
    ledger.do(close_unknown, ledger.now, second.id, UnknownCause.SILENCE, "no word")
    ledger.report(first, failed=[(1, *TRANSIENT)])
    assert ledger.states(campaign_id) == ["unknown"]
    ledger.report(second, failed=[(1, *TRANSIENT)])
    assert ledger.states(campaign_id) == ["held"]


def test_a_released_recipient_that_went_out_after_all_is_sent_and_on_record(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    task = ledger.claim_one(campaign_id)
    ledger.do(release, task.id, ledger.now, "proved unsent")
    ledger.report(task, sent=[1])
    assert ledger.states(campaign_id) == ["sent"]
    assert ledger.incidents() == {"anomaly": 1}


ORDERS = list(itertools.permutations(range(4)))


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "".join(map(str, order)))
def test_reports_in_any_order_end_alike(ledger: Any, order: tuple[int, ...]) -> None:
    campaign_id = ledger.campaign(4)
    task = ledger.claim_one(campaign_id)
    reports: list[dict[str, Any]] = [
        {"sent": [1], "counters": (1, 1, 0, 2)},
        {"failed": [(2, *PERMANENT)], "counters": (1, 1, 1, 1)},
        {"failed": [(3, *TIMEOUT)], "counters": (1, 1, 2, 0)},
        {"counters": (0, 2, 2, 0)},
    ]
    for i in order:
        ledger.report(task, **reports[i])
    assert ledger.states(campaign_id) == ["sent", "failed", "unknown", "sent"]
    assert ledger.recipient(4)["evidence"] == "inferred"
    assert ledger.task(task.id)["state"] == "closed"


# what a report does not prove


def test_a_report_of_an_unknown_tid_is_an_orphan(ledger: Any) -> None:
    ledger.fold(TaskReport(tid=424242, sent=1, failed=0))
    assert ledger.incidents() == {"orphan": 1}


def test_a_report_of_another_gateways_tid_is_not_applied(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    task = ledger.claim_one(campaign_id, gateway="gw")
    ledger.report(task, sent=[1], gateway="other")
    assert ledger.states(campaign_id) == ["assigned"]
    assert ledger.incidents() == {"anomaly": 1}


def test_a_report_of_a_task_taken_for_unsent_applies_and_it_is_not_offered_again(
    ledger: Any,
) -> None:
    """As in an older copy of the ledger, made before the task was posted in the end."""
    campaign_id = ledger.campaign(2)
    task = ledger.claim_one(campaign_id)
    ledger.do(mark_planned, [task.id])
    ledger.report(task, sent=[1])
    assert ledger.states(campaign_id) == ["sent", "assigned"]
    assert ledger.task(task.id)["state"] == "accepted"
    assert ledger.do(reclaim_planned, ledger.epoch, 1, None, ledger.now) == []
    assert ledger.incidents() == {"anomaly": 1}


def test_a_report_of_a_collided_tid_proves_nothing(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    task = ledger.claim_one(campaign_id)
    ledger.do(mark_doubt, [task.id], ledger.now, UnknownCause.COLLISION)
    ledger.report(task, sent=[1], counters=(0, 1, 0, 0))
    assert ledger.states(campaign_id) == ["assigned"]
    assert ledger.task(task.id)["state"] == "doubt"
    assert ledger.incidents() == {"anomaly": 1}


def test_a_detail_for_a_number_that_is_not_in_the_task_is_an_anomaly(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    task = ledger.claim_one(campaign_id)
    ledger.fold(TaskReport(tid=task.tid, sdr=(SentRow(index=1, number="99988887777"),)))
    assert ledger.states(campaign_id) == ["assigned"]
    assert ledger.incidents() == {"anomaly": 1}


def test_rows_that_could_not_be_understood_are_on_record(ledger: Any) -> None:
    task = ledger.claim_one(ledger.campaign(1))
    ledger.fold(TaskReport(tid=task.tid, odd=('["?"]',)))
    assert ledger.incidents() == {"anomaly": 1}


# counters and elimination


def test_counters_prove_the_missing_successes(ledger: Any) -> None:
    campaign_id = ledger.campaign(3)
    task = ledger.claim_one(campaign_id)
    ledger.report(task, failed=[(2, *PERMANENT)], counters=(0, 2, 1, 0))
    assert ledger.states(campaign_id) == ["sent", "failed", "sent"]
    assert [ledger.recipient(n)["evidence"] for n in (1, 2, 3)] == [
        "inferred", "report", "inferred",
    ]  # fmt: skip
    assert ledger.task(task.id)["state"] == "closed"


def test_an_inferred_success_is_confirmed_by_a_late_detail_without_ado(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    task = ledger.claim_one(campaign_id)
    ledger.report(task, counters=(0, 1, 0, 0))
    ledger.report(task, sent=[1])
    assert ledger.states(campaign_id) == ["sent"]
    assert not ledger.incidents()


def test_a_missing_failure_is_never_guessed(ledger: Any) -> None:
    campaign_id = ledger.campaign(3)
    task = ledger.claim_one(campaign_id)
    ledger.report(task, sent=[1], counters=(0, 2, 1, 0))
    assert ledger.states(campaign_id) == ["sent", "assigned", "assigned"]
    assert ledger.task(task.id)["state"] == "accepted"
    found = ledger.do(ambiguity, task.id)
    assert (found.ambiguous, found.bounds) == ((2, 3), "among 2: 1 sent, 1 failed")


@pytest.mark.parametrize(
    "counters",
    [
        pytest.param((0, 1, 0, 0), id="too-few"),
        pytest.param((0, 5, 0, 0), id="too-many"),
        pytest.param((3, 3, 0, 0), id="still-sending-as-many-again"),
        pytest.param((0, 4, -1, 0), id="negative"),
    ],
)
def test_counters_of_another_epoch_prove_nothing(
    ledger: Any, counters: tuple[int, int, int, int]
) -> None:
    campaign_id = ledger.campaign(3)
    task = ledger.claim_one(campaign_id)
    ledger.report(task, counters=counters)
    assert ledger.states(campaign_id) == ["assigned"] * 3


def test_counters_only_rise_and_a_later_fitting_set_is_not_shut_out(ledger: Any) -> None:
    task = ledger.claim_one(ledger.campaign(3))
    assert ledger.do(task_counters, task.id) is None
    for counters in ((0, 9, 0, 0), (1, 1, 0, 1), (1, 0, 0, 2), (0, 4, 0, 0)):
        ledger.report(task, counters=counters)
    assert ledger.do(task_counters, task.id) == Counters(1, 1, 0, 1)


def test_a_rewritten_number_is_recognised_whichever_way_its_device_counts(ledger: Any) -> None:
    campaign_id = ledger.campaign(4)
    first = ledger.claim_one(campaign_id, count=2)
    second = ledger.claim_one(campaign_id, count=2)
    for task, index in ((first, 1), (second, 2)):  # the second place, counted from 0 and from 1
        short = ledger.numbers_of(task.id)[1][3:]
        row = FailedRow(index=index, number=short, program=7, network=1)
        ledger.fold(TaskReport(tid=task.tid, fdr=(row,)))
    assert ledger.states(campaign_id) == ["assigned", "failed", "assigned", "failed"]


def test_receipts_take_no_part_in_elimination(ledger: Any) -> None:
    """Its receipt proves one sent; which of the two the counted failure is, the device must say."""
    campaign_id = ledger.campaign(2)
    task = ledger.claim_one(campaign_id)
    ledger.report(task, counters=(0, 1, 1, 0))
    ledger.do(close_unknown, ledger.now, task.id, UnknownCause.AMBIGUOUS, "which of the two")
    ledger.receipt(ledger.number(1))
    assert ledger.states(campaign_id) == ["delivered", "unknown"]
    assert ledger.do(ambiguity, task.id).bounds == "among 2: 1 sent, 1 failed"
    ledger.report(task, failed=[(1, *PERMANENT)])  # and it says so: then the other was sent
    assert ledger.states(campaign_id) == ["delivered", "sent"]
    assert ledger.incidents() == {"anomaly": 1}


def test_a_device_that_reports_more_failures_than_it_counts_is_on_record(ledger: Any) -> None:
    campaign_id = ledger.campaign(3)
    task = ledger.claim_one(campaign_id)
    ledger.report(task, failed=[(1, *PERMANENT), (2, *PERMANENT)], counters=(0, 2, 1, 0))
    assert ledger.states(campaign_id) == ["failed", "failed", "assigned"]
    assert ledger.incidents() == {"anomaly": 1}


# closing


def test_closing_makes_what_has_no_detail_unknown_with_its_cause(ledger: Any) -> None:
    campaign_id = ledger.campaign(3)
    task = ledger.claim_one(campaign_id)
    ledger.report(task, sent=[2])
    assert ledger.do(close_unknown, ledger.now, task.id, UnknownCause.REBOOT, "restarted") == 2
    assert ledger.states(campaign_id) == ["unknown", "sent", "unknown"]
    assert (ledger.recipient(1)["cause"], ledger.recipient(1)["reason"]) == ("reboot", "restarted")
    row = ledger.task(task.id)
    assert (row["state"], row["verdict"]) == ("closed", "restarted")
    assert ledger.decisions("unknown") == ["2 unknown (reboot): restarted"]


def test_closing_twice_is_closing_once(ledger: Any) -> None:
    task = ledger.claim_one(ledger.campaign(1))
    assert ledger.do(close_unknown, ledger.now, task.id, UnknownCause.SILENCE, "no word") == 1
    assert ledger.do(close_unknown, ledger.now + 9, task.id, UnknownCause.REBOOT, "again") == 0
    assert ledger.task(task.id)["closed_ms"] == ledger.now
    assert ledger.recipient(1)["cause"] == "silence"


@pytest.mark.parametrize("opted_out", [True, False])
def test_what_an_opt_out_could_not_stop_is_counted(ledger: Any, opted_out: bool) -> None:
    campaign_id = ledger.campaign(2)
    task = ledger.claim_one(campaign_id)
    ledger.report(task, counters=(0, 0, 0, 2))
    ledger.opt_out(ledger.number(1 if opted_out else 7))
    ledger.do(start_fence, [task.id], ledger.now, FenceReason.OPT_OUT, "opted out")
    ledger.report(task, sent=[1, 2])
    assert ledger.incidents()["opted_out_in_flight"] == int(opted_out)
    assert ledger.states(campaign_id) == ["sent", "sent"]


def test_sent_without_a_receipt_in_time_becomes_no_receipt(ledger: Any) -> None:
    campaign_id = ledger.campaign(2)
    ledger.report(ledger.claim_one(campaign_id), sent=[1], failed=[(2, *PERMANENT)])
    assert ledger.do(settle_without_receipts, ledger.now, campaign_id) == 1
    assert ledger.do(settle_without_receipts, ledger.now, campaign_id) == 0
    assert ledger.states(campaign_id) == ["no_receipt", "failed"]


def test_a_campaigns_options_are_what_a_failure_is_judged_by(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    state, options = ledger.do(campaign_options, campaign_id)
    assert (state, options.attempts) == (CampaignState.RUNNING, 3)
