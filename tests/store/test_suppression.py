"""Blocklists and frequency caps inside the transaction that writes an intent down."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from campaign.planner.options import CampaignOptions
from campaign.planner.split import Grant
from campaign.planner.states import FenceReason, UnknownCause
from campaign.store.claims import Claim, claim_due, reclaim_planned, release
from campaign.store.contactlaws import nobody_blocked, nobody_too_often
from campaign.store.decisions import unknown_recipients
from campaign.store.outcomes import close_unknown
from campaign.store.picking import ClaimOrder
from campaign.store.suppression import block, blocked_numbers, blocklists, unblock
from campaign.store.tasks import (
    mark_accepted,
    mark_doubt,
    mark_planned,
    mark_reposted,
    tasks_of_unwanted,
)

_DAY_MS = 86_400_000
ONCE_A_WEEK = CampaignOptions(at_most="1/week")


def test_a_blocked_number_is_skipped_with_the_name_of_its_list(ledger: Any) -> None:
    campaign_id = ledger.campaign(3)
    assert ledger.do(block, ledger.now, "rivals", [ledger.number(2)]) == 1
    assert ledger.claim_one(campaign_id).size == 2
    row = ledger.recipient(2)
    assert (row["state"], row["cause"]) == ("skipped", "suppressed")
    assert row["reason"] == "blocklist rivals"


def test_opting_out_is_the_reason_told_of_a_number_that_is_blocked_too(ledger: Any) -> None:
    campaign_id = ledger.campaign(2)
    ledger.do(block, ledger.now, "rivals", [ledger.number(1)])
    ledger.opt_out(ledger.number(1))
    ledger.claim_one(campaign_id)
    assert ledger.recipient(1)["cause"] == "opted_out"


def test_lists_are_counted_kept_apart_and_emptied(ledger: Any) -> None:
    one, two = ledger.number(1), ledger.number(2)
    assert ledger.do(block, 5, "a", [one, two]) == 2
    assert ledger.do(block, 9, "a", [two]) == 0
    assert ledger.do(block, 9, "b", [two]) == 1
    assert [tuple(row) for row in blocklists(ledger.conn)] == [("a", 2, 5, 5), ("b", 1, 9, 9)]
    assert ledger.do(unblock, "a", [one, "99912345"]) == 1
    assert [row["number"] for row in blocked_numbers(ledger.conn, "a")] == [two]
    assert ledger.do(unblock, "a", None) == 1
    assert [row["name"] for row in blocklists(ledger.conn)] == ["b"]


def test_a_claim_walks_over_a_long_run_of_blocked_numbers_in_a_few_queries(ledger: Any) -> None:
    campaign_id = ledger.campaign(3001)
    ledger.do(block, ledger.now, "rivals", [ledger.number(n) for n in range(1, 3001)])
    asked: list[str] = []
    ledger.conn.set_trace_callback(
        lambda sql: asked.append(sql) if "AS unwanted" in sql and "r.avoid" in sql else None
    )
    task = ledger.claim_one(campaign_id, count=1)
    ledger.conn.set_trace_callback(None)
    assert ledger.numbers_of(task.id) == [ledger.number(3001)]
    assert len(asked) < 10


def test_a_claim_ends_after_a_bounded_walk_and_the_next_one_goes_on(ledger: Any) -> None:
    campaign_id = ledger.campaign(31)
    ledger.do(block, ledger.now, "rivals", [ledger.number(n) for n in range(1, 31)])
    order = ClaimOrder(
        epoch=ledger.epoch, campaign_id=campaign_id, gateway_id=ledger.gateway(), boot_id="boot-1",
        grants=(Grant(1, 10, "1:1"),), task_size=10, most_tasks=10, only_place=False,
        now_ms=ledger.now, most_skipped=10,
    )  # fmt: skip
    assert ledger.do(claim_due, order, ledger.build) == Claim([], skipped=10)
    assert ledger.states(campaign_id) == ["skipped"] * 10 + ["pending"] * 21
    assert ledger.claim_one(campaign_id, count=1).size == 1


def test_accepted_tasks_that_hold_a_number_blocked_afterwards_are_told(ledger: Any) -> None:
    task = ledger.claim_one(ledger.campaign(2))
    ledger.do(mark_accepted, [task.id], ledger.now)
    assert tasks_of_unwanted(ledger.conn, ledger.gateway()) == []
    ledger.do(block, ledger.now, "rivals", [ledger.number(2)])
    assert tasks_of_unwanted(ledger.conn, ledger.gateway()) == [task.id]


def test_a_doubtful_task_with_a_blocked_number_is_not_offered_again(ledger: Any) -> None:
    task = ledger.claim_one(ledger.campaign(1))
    ledger.do(mark_doubt, [task.id], ledger.now, UnknownCause.NO_ANSWER)
    ledger.do(block, ledger.now, "rivals", [ledger.number(1)])
    assert ledger.do(mark_reposted, [task.id], ledger.now, "still in doubt") == []


def test_a_planned_task_with_a_blocked_number_is_released(ledger: Any) -> None:
    campaign_id = ledger.campaign(2)
    task = ledger.claim_one(campaign_id)
    ledger.do(mark_planned, [task.id])
    ledger.do(block, ledger.now, "rivals", [ledger.number(1)])
    arguments = ledger.epoch, ledger.gateway(), "boot-1", ledger.now
    assert ledger.do(reclaim_planned, *arguments) == []
    assert ledger.claim_one(campaign_id).size == 1
    assert ledger.states(campaign_id) == ["skipped", "assigned"]


def test_nobody_decides_to_write_to_a_blocked_number_again(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    task = ledger.claim_one(campaign_id)
    ledger.do(close_unknown, ledger.now, task.id, UnknownCause.SILENCE, "silent")
    ledger.do(block, ledger.now, "rivals", [ledger.number(1)])
    (one,) = unknown_recipients(ledger.conn, campaign_id, [UnknownCause.SILENCE])
    assert one.unwanted == "blocklist rivals"


def test_a_second_campaign_does_not_exceed_the_cap(ledger: Any) -> None:
    task = ledger.claim_one(ledger.campaign(1, name="one"))
    ledger.report(task, sent=[1])
    second = ledger.campaign(2, name="two", options=ONCE_A_WEEK)
    ledger.now += 6 * _DAY_MS
    assert ledger.numbers_of(ledger.claim_one(second).id) == [ledger.number(2)]
    row = ledger.recipient(1, campaign_id=second)
    assert (row["state"], row["cause"]) == ("skipped", "suppressed")
    assert row["reason"] == "frequency cap: 1 in 7 days"


def test_the_cap_lets_go_when_its_time_is_over(ledger: Any) -> None:
    task = ledger.claim_one(ledger.campaign(1, name="one"))
    ledger.now += 60_000
    ledger.report(task, sent=[1])
    second = ledger.campaign(1, name="two", options=ONCE_A_WEEK)
    third = ledger.campaign(1, name="three", options=ONCE_A_WEEK)
    ledger.now += 7 * _DAY_MS - 1
    assert ledger.claim(second) == [], "it may have been on air a moment before its task was closed"
    ledger.now += 1
    assert ledger.claim_one(third).size == 1


def test_what_is_in_flight_counts_however_old_it_is(ledger: Any) -> None:
    ledger.claim_one(ledger.campaign(1, name="one"))
    ledger.now += 30 * _DAY_MS
    assert ledger.claim(ledger.campaign(1, name="two", options=ONCE_A_WEEK)) == []


@pytest.mark.parametrize("how", ["failed", "released"])
def test_an_attempt_that_reached_nobody_is_no_message_to_that_person(ledger: Any, how: str) -> None:
    first = ledger.campaign(1, name="one", options=ONCE_A_WEEK)
    task = ledger.claim_one(first)
    if how == "failed":
        ledger.report(task, failed=[(1, 7, 38)])
    else:
        ledger.do(release, task.id, ledger.now, "never on the wire")
    again = ledger.campaign(1, name="two", options=ONCE_A_WEEK)
    assert ledger.claim_one(again).size == 1


def test_a_retry_after_a_proved_failure_is_within_the_cap(ledger: Any) -> None:
    campaign_id = ledger.campaign(1, options=ONCE_A_WEEK)
    ledger.report(ledger.claim_one(campaign_id), failed=[(1, 7, 38)])
    ledger.now += 60_000
    ledger.report(ledger.claim_one(campaign_id, ports=(2,)), sent=[1])
    assert ledger.states(campaign_id) == ["sent"]
    assert nobody_too_often(ledger.conn, None).verdict == "holds"


def test_a_resend_beyond_the_cap_leaves_the_recipient_unknown_as_it_was(ledger: Any) -> None:
    campaign_id = ledger.campaign(1, options=ONCE_A_WEEK)
    task = ledger.claim_one(campaign_id)
    ledger.do(close_unknown, ledger.now, task.id, UnknownCause.SILENCE, "silent")
    ledger.do(_back_to_pending, campaign_id)
    assert ledger.claim(campaign_id) == []
    row = ledger.recipient(1)
    assert (row["state"], row["cause"]) == ("unknown", "ambiguous")
    assert row["reason"].startswith("frequency cap: 1 in 7 days")


def _back_to_pending(conn: sqlite3.Connection, campaign_id: int) -> None:
    """As a decision to send again does it."""
    conn.execute(
        "UPDATE recipients SET state = 'pending', cause = NULL WHERE campaign_id = ?",
        (campaign_id,),
    )
    conn.execute("UPDATE tallies SET n = n - 1 WHERE state = 'unknown'")
    conn.execute("UPDATE tallies SET n = n + 1 WHERE state = 'pending'")


def test_the_laws_see_who_was_written_to_in_spite_of_it(ledger: Any) -> None:
    ledger.report(ledger.claim_one(ledger.campaign(1, name="one")), sent=[1])
    ledger.now += 10_000
    second = ledger.campaign(1, name="two")
    ledger.report(ledger.claim_one(second), sent=[1])
    assert nobody_too_often(ledger.conn, None).verdict == "holds"
    assert nobody_blocked(ledger.conn, None).verdict == "holds"
    ledger.conn.execute(
        "UPDATE campaigns SET options = ? WHERE id = ?", (ONCE_A_WEEK.encode(), second)
    )
    ledger.do(block, ledger.now - 5000, "rivals", [ledger.number(1)])
    assert nobody_too_often(ledger.conn, second).detail == "two row 1 by tid 1001"
    assert nobody_blocked(ledger.conn, second).verdict == "broken"
    assert nobody_blocked(ledger.conn, second - 1).verdict == "holds"


def test_the_cap_is_asked_by_indexes_however_many_recipients_there_are(ledger: Any) -> None:
    ledger.report(ledger.claim_one(ledger.campaign(3, name="one")), sent=[1, 2, 3])
    asked: list[str] = []
    ledger.conn.set_trace_callback(asked.append)
    ledger.claim(ledger.campaign(3, name="two", options=CampaignOptions(at_most="2/week")))
    ledger.conn.set_trace_callback(None)
    (sql,) = [text for text in asked if "frequency cap" in text and text.startswith("SELECT")] or [
        text for text in asked if "frequency cap" in text
    ][:1]
    plan = [row["detail"] for row in ledger.conn.execute(f"EXPLAIN QUERY PLAN {sql}")]
    assert not [step for step in plan if step.startswith("SCAN")], plan


def test_a_fence_for_a_blocked_number_skips_it_and_sends_the_others_on(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    task = ledger.claim_one(campaign_id)
    ledger.do(mark_accepted, [task.id], ledger.now)
    ledger.do(block, ledger.now, "rivals", [ledger.number(1)])
    ledger.conn.execute(
        "UPDATE tasks SET state = 'fencing', fence = ? WHERE id = ?",
        (FenceReason.OPT_OUT, task.id),
    )
    ledger.report(task, sent=[1])
    assert ledger.incidents() == {"opted_out_in_flight": 1}
