"""Claims: intent, attempts and states are one commit, and nobody is claimed twice."""

from __future__ import annotations

import random
import sqlite3
from typing import Any

import pytest

from campaign.errors import StaleEpoch, StoreError
from campaign.planner.split import Grant
from campaign.planner.states import CampaignState, FenceReason
from campaign.protocol.codec import task_digest
from campaign.protocol.device_codec import decode_send_sms
from campaign.store.campaigns import cancel_waiting, set_campaign_state
from campaign.store.claims import (
    claim_due,
    jump_tids,
    reclaim_planned,
    release,
    start_tids,
)
from campaign.store.door import InlineStore
from campaign.store.journal import begin_epoch, read_meta, write_meta
from campaign.store.lineage import LARGEST_TID
from campaign.store.picking import ClaimOrder
from campaign.store.tasks import mark_accepted, mark_planned, start_fence

DAY_MS = 86_400_000


def order_for(ledger: Any, campaign_id: int) -> ClaimOrder:
    gateway_id = ledger.gateway()
    return ClaimOrder(
        epoch=ledger.epoch,
        campaign_id=campaign_id,
        gateway_id=gateway_id,
        boot_id="boot-1",
        grants=(Grant(1, 10, f"{gateway_id}:1"),),
        task_size=10,
        most_tasks=10,
        only_place=False,
        now_ms=ledger.now,
    )


def test_a_claim_writes_intent_attempts_and_states_together(ledger: Any) -> None:
    campaign_id = ledger.campaign(5)
    first, second = ledger.claim(campaign_id, ports=(1, 2), count=2)
    assert ledger.states(campaign_id) == ["assigned"] * 4 + ["pending"]
    for task in (first, second):
        row = ledger.task(task.id)
        assert (row["state"], row["tid"], row["posts"], row["boot_id"]) == (
            "intent", task.tid, 1, "boot-1",
        )  # fmt: skip
        assert row["intent_ms"] == ledger.now
        assert (row["body"], row["sha256"]) == (task.body, task_digest(task.body))
        (posted,) = decode_send_sms(b'{"tasks":[%s]}' % task.body).tasks
        assert list(posted.to) == ledger.numbers_of(task.id)
    recipient = ledger.recipient(1)
    assert (recipient["attempts"], recipient["tid"], recipient["port"]) == (1, first.tid, "1")


def test_tasks_of_one_post_share_a_post_id_and_the_next_post_has_another(ledger: Any) -> None:
    campaign_id = ledger.campaign(4)
    together = ledger.claim(campaign_id, ports=(1, 2), count=1)
    later = ledger.claim(campaign_id, ports=(1, 2), count=1)
    posts = [{ledger.task(task.id)["post_id"] for task in tasks} for tasks in (together, later)]
    assert [len(ids) for ids in posts] == [1, 1]
    assert posts[0] != posts[1]


async def test_a_claim_that_fails_half_way_leaves_nothing_behind(ledger: Any) -> None:
    campaign_id = ledger.campaign(3, texts=("a", "b", "c"))
    built = 0

    def build_two_then_fail(*args: Any) -> tuple[bytes, str]:
        nonlocal built
        built += 1
        if built == 3:
            raise ValueError("no such task")
        body: tuple[bytes, str] = ledger.build(*args)
        return body

    with pytest.raises(ValueError, match="no such task"):
        await InlineStore(ledger.conn).write(
            claim_due, order_for(ledger, campaign_id), build_two_then_fail
        )
    assert ledger.states(campaign_id) == ["pending"] * 3
    assert ledger.conn.execute("SELECT count(*) FROM tasks").fetchone()[0] == 0
    assert read_meta(ledger.conn, "next_tid") == "1000"


def test_sql_itself_refuses_a_second_live_attempt_of_a_recipient(ledger: Any) -> None:
    campaign_id = ledger.campaign(2)
    first = ledger.claim_one(campaign_id, count=1)
    second = ledger.claim_one(campaign_id, count=1)
    recipient_id = ledger.recipient(1)["id"]
    assert ledger.attempt(first.id)["recipient_id"] == recipient_id
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        ledger.conn.execute(
            "INSERT INTO attempts (task_id, idx, recipient_id, live) VALUES (?, 2, ?, 1)",
            (second.id, recipient_id),
        )


def test_nobody_is_claimed_twice_however_often_it_is_claimed(ledger: Any) -> None:
    campaign_id = ledger.campaign(25)
    numbers = [
        number
        for _ in range(10)
        for task in ledger.claim(campaign_id, ports=(1, 2), count=2, task_size=3)
        for number in ledger.numbers_of(task.id)
    ]
    assert sorted(numbers) == [ledger.number(n) for n in range(1, 26)]


def test_recipients_with_equal_texts_share_tasks_and_others_do_not(ledger: Any) -> None:
    campaign_id = ledger.campaign(6, texts=("Hi Ann", "Hi Bo"))
    tasks = ledger.claim(campaign_id, count=6)
    assert [task.size for task in tasks] == [3, 3]
    (posted,) = decode_send_sms(b'{"tasks":[%s]}' % tasks[1].body).tasks
    assert posted.sms == "Hi Bo"


def test_most_tasks_bounds_a_claim_and_the_rest_waits(ledger: Any) -> None:
    campaign_id = ledger.campaign(6)
    assert len(ledger.claim(campaign_id, count=6, task_size=1, most_tasks=2)) == 2
    assert ledger.states(campaign_id) == ["assigned"] * 2 + ["pending"] * 4


@pytest.mark.parametrize(
    ("state", "claims"),
    [
        (CampaignState.RUNNING, True),
        (CampaignState.WAITING, True),
        (CampaignState.SCHEDULED, False),
        (CampaignState.PAUSED, False),
        (CampaignState.FINISHED, False),
        (CampaignState.CANCELLED, False),
        (CampaignState.IMPORTING, False),
    ],
)
def test_only_a_campaign_that_runs_is_claimed_from(
    ledger: Any, state: CampaignState, claims: bool
) -> None:
    campaign_id = ledger.campaign(1)
    ledger.do(set_campaign_state, ledger.now, campaign_id, state, "a test")
    looked = ledger.look_for(campaign_id)
    assert (bool(looked.tasks), looked.halted) == (claims, not claims)


def test_a_campaign_that_does_not_exist_gives_nothing(ledger: Any) -> None:
    assert ledger.claim(77) == []


def test_an_opted_out_number_is_skipped_inside_the_claim(ledger: Any) -> None:
    campaign_id = ledger.campaign(3)
    ledger.opt_out(ledger.number(2))
    task = ledger.claim_one(campaign_id)
    assert ledger.numbers_of(task.id) == [ledger.number(1), ledger.number(3)]
    assert ledger.states(campaign_id) == ["assigned", "skipped", "assigned"]
    assert ledger.recipient(2)["cause"] == "opted_out"
    assert ledger.recipient(2)["attempts"] == 0


def test_a_held_recipient_that_opted_out_meanwhile_is_skipped_when_due(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    ledger.report(ledger.claim_one(campaign_id), failed=[(1, 7, None)])
    assert ledger.states(campaign_id) == ["held"]
    ledger.opt_out(ledger.number(1))
    ledger.now += 60_000
    assert ledger.claim(campaign_id, ports=(2,)) == []
    assert ledger.states(campaign_id) == ["skipped"]


def test_a_held_recipient_is_claimed_only_when_due_and_only_elsewhere(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    ledger.report(ledger.claim_one(campaign_id, ports=(1,)), failed=[(1, 7, None)])
    assert ledger.claim(campaign_id, ports=(2,)) == []
    ledger.now = ledger.recipient(1)["due_ms"]
    assert ledger.claim(campaign_id, ports=(1,)) == []
    assert ledger.states(campaign_id) == ["pending"]
    assert ledger.claim_one(campaign_id, ports=(1, 2)).port == 2
    assert ledger.recipient(1)["attempts"] == 2


def test_the_only_place_there_is_gets_even_those_who_failed_there(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    ledger.report(ledger.claim_one(campaign_id), failed=[(1, 7, None)])
    ledger.now += 60_000
    assert ledger.claim_one(campaign_id, only_place=True).port == 1


def test_those_who_avoid_the_granted_port_do_not_block_those_behind_them(ledger: Any) -> None:
    campaign_id = ledger.campaign(4)
    ledger.report(ledger.claim_one(campaign_id, count=2), failed=[(1, 7, None), (2, 7, None)])
    ledger.now += 60_000
    task = ledger.claim_one(campaign_id, ports=(1,), count=1)
    assert ledger.numbers_of(task.id) == [ledger.number(3)]


def test_an_engine_that_was_taken_over_claims_nothing(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    ledger.gateway()
    stale, ledger.epoch = ledger.epoch, ledger.do(begin_epoch)
    with pytest.raises(StaleEpoch):
        ledger.claim(campaign_id, epoch=stale)
    with pytest.raises(StaleEpoch):
        ledger.do(reclaim_planned, stale, ledger.gateway(), None, ledger.now)
    assert ledger.states(campaign_id) == ["pending"]


async def test_a_stale_epoch_is_told_as_such_through_the_door(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    order = order_for(ledger, campaign_id)
    ledger.do(begin_epoch)
    with pytest.raises(StaleEpoch) as caught:
        await InlineStore(ledger.conn).write(claim_due, order, ledger.build)
    assert isinstance(caught.value, StoreError)


# tids


def test_tids_count_up_and_wrap_at_the_largest_signed_32_bit_integer(ledger: Any) -> None:
    campaign_id = ledger.campaign(4)
    ledger.do(write_meta, {"next_tid": str(LARGEST_TID - 1)})
    tids = [task.tid for task in ledger.claim(campaign_id, task_size=1)]
    assert tids == [LARGEST_TID - 1, LARGEST_TID, 1, 2]


def test_a_tid_rests_for_30_days_after_its_task_closed(ledger: Any) -> None:
    campaign_id = ledger.campaign(3)

    def claim_tid() -> int:
        ledger.do(write_meta, {"next_tid": "50"})
        task = ledger.claim_one(campaign_id, count=1)
        ledger.report(task, sent=[1])
        tid: int = task.tid
        return tid

    assert claim_tid() == 50
    ledger.now += 30 * DAY_MS - 1
    assert claim_tid() == 51
    ledger.now += 1
    assert claim_tid() == 50


def test_a_tid_that_still_lives_is_never_given_out_again(ledger: Any) -> None:
    campaign_id = ledger.campaign(2)
    first = ledger.claim_one(campaign_id, count=1)
    ledger.now += 365 * DAY_MS
    ledger.do(write_meta, {"next_tid": str(first.tid)})
    assert ledger.claim_one(campaign_id, count=1).tid == first.tid + 1


def test_another_gateway_may_use_the_same_tid(ledger: Any) -> None:
    campaign_id = ledger.campaign(2)
    first = ledger.claim_one(campaign_id, count=1)
    ledger.do(write_meta, {"next_tid": str(first.tid)})
    assert ledger.claim_one(campaign_id, count=1, gateway="other").tid == first.tid


def test_tids_begin_at_random_once_per_ledger_and_jump_after_a_collision(ledger: Any) -> None:
    ledger.conn.execute("DELETE FROM meta WHERE key = 'next_tid'")
    rng = random.Random(1)
    ledger.do(start_tids, rng)
    begun = read_meta(ledger.conn, "next_tid")
    assert begun is not None
    assert 1 <= int(begun) <= LARGEST_TID
    ledger.do(start_tids, rng)
    assert read_meta(ledger.conn, "next_tid") == begun
    ledger.do(jump_tids, rng)
    assert read_meta(ledger.conn, "next_tid") != begun


# planned again, and released


def test_what_was_never_on_the_wire_goes_out_later_under_the_same_tid(ledger: Any) -> None:
    campaign_id = ledger.campaign(2)
    task = ledger.claim_one(campaign_id)
    ledger.do(mark_planned, [task.id])
    assert ledger.task(task.id)["state"] == "planned"
    assert ledger.states(campaign_id) == ["assigned"] * 2
    again = ledger.do(reclaim_planned, ledger.epoch, ledger.gateway(), "boot-2", ledger.now + 5)
    assert again == [task]
    row = ledger.task(task.id)
    assert (row["state"], row["posts"], row["boot_id"]) == ("intent", 1, "boot-2")
    assert row["intent_ms"] == ledger.now + 5


def test_a_planned_task_that_holds_an_opted_out_number_is_released_instead(ledger: Any) -> None:
    campaign_id = ledger.campaign(2)
    task = ledger.claim_one(campaign_id)
    ledger.do(mark_planned, [task.id])
    ledger.opt_out(ledger.number(2))
    assert ledger.do(reclaim_planned, ledger.epoch, ledger.gateway(), None, ledger.now) == []
    assert ledger.states(campaign_id) == ["pending", "pending"]
    assert ledger.numbers_of(ledger.claim_one(campaign_id).id) == [ledger.number(1)]


def test_a_planned_task_of_a_paused_campaign_stays_and_of_a_cancelled_one_is_cancelled(
    ledger: Any,
) -> None:
    campaign_id = ledger.campaign(2)
    task = ledger.claim_one(campaign_id)
    ledger.do(mark_planned, [task.id])
    ledger.do(set_campaign_state, ledger.now, campaign_id, CampaignState.PAUSED, "a test")
    assert ledger.do(reclaim_planned, ledger.epoch, ledger.gateway(), None, ledger.now) == []
    assert ledger.task(task.id)["state"] == "planned"
    ledger.do(cancel_waiting, ledger.now, campaign_id, "a test", by="operator")
    assert ledger.do(reclaim_planned, ledger.epoch, ledger.gateway(), None, ledger.now) == []
    assert ledger.states(campaign_id) == ["cancelled", "cancelled"]


def test_a_planned_task_whose_recipient_turned_out_to_be_sent_is_not_posted(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    first = ledger.claim_one(campaign_id)
    ledger.report(first, failed=[(1, 7, None)])
    ledger.now += 60_000
    second = ledger.claim_one(campaign_id, ports=(2,))
    ledger.do(mark_planned, [second.id])
    ledger.report(first, sent=[1])
    assert ledger.do(reclaim_planned, ledger.epoch, ledger.gateway(), None, ledger.now) == []
    assert ledger.task(second.id)["state"] == "closed"
    assert ledger.states(campaign_id) == ["sent"]


def test_a_release_gives_the_attempt_back(ledger: Any) -> None:
    campaign_id = ledger.campaign(2)
    task = ledger.claim_one(campaign_id)
    assert ledger.do(release, task.id, ledger.now, "proved unsent") == 2
    recipient = ledger.recipient(1)
    assert (recipient["state"], recipient["attempts"]) == ("pending", 0)
    assert (recipient["gateway_id"], recipient["port"], recipient["tid"]) == (None, None, None)
    row = ledger.task(task.id)
    assert (row["state"], row["verdict"]) == ("closed", "released: proved unsent")
    assert ledger.decisions("release") == ["proved unsent"]


def test_a_release_leaves_alone_whoever_is_settled_already(ledger: Any) -> None:
    campaign_id = ledger.campaign(3)
    task = ledger.claim_one(campaign_id)
    ledger.report(task, sent=[1], failed=[(2, 7, 1)])
    assert ledger.do(release, task.id, ledger.now, "proved unsent") == 1
    assert ledger.states(campaign_id) == ["sent", "failed", "pending"]


def test_a_cancelled_campaign_releases_into_cancelled(ledger: Any) -> None:
    campaign_id = ledger.campaign(3)
    task = ledger.claim_one(campaign_id, count=2)
    assert ledger.do(cancel_waiting, ledger.now, campaign_id, "enough", by="operator") == 1
    assert ledger.states(campaign_id) == ["assigned", "assigned", "cancelled"]
    ledger.do(release, task.id, ledger.now, "proved unsent")
    assert ledger.states(campaign_id) == ["cancelled"] * 3


@pytest.mark.parametrize("state", ["intent", "accepted", "fencing"])
def test_a_task_can_be_released_from_every_state_that_proof_may_reach(
    ledger: Any, state: str
) -> None:
    campaign_id = ledger.campaign(1)
    task = ledger.claim_one(campaign_id)
    if state != "intent":
        ledger.do(mark_accepted, [task.id], ledger.now)
    if state == "fencing":
        ledger.do(start_fence, [task.id], ledger.now, FenceReason.CANCEL, "a test")
    assert ledger.task(task.id)["state"] == state
    ledger.do(release, task.id, ledger.now, "proved unsent")
    assert ledger.states(campaign_id) == ["pending"]


def test_planned_tasks_of_a_campaign_that_may_not_send_now_are_released(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    task = ledger.claim_one(campaign_id)
    ledger.do(mark_planned, [task.id])
    arguments = (ledger.epoch, ledger.gateway(), "boot-1", ledger.now)
    assert ledger.do(reclaim_planned, *arguments, [campaign_id + 1]) == []
    assert ledger.states(campaign_id) == ["pending"]


def test_a_claim_walks_over_any_run_of_opted_out_numbers(ledger: Any) -> None:
    campaign_id = ledger.campaign(12)
    for n in range(1, 12):
        ledger.opt_out(ledger.number(n))
    assert ledger.claim_one(campaign_id, count=2).size == 1
    assert ledger.states(campaign_id) == ["skipped"] * 11 + ["assigned"]
