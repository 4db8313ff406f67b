"""The end of a campaign's time in the ledger, and what is written down of windows."""

from __future__ import annotations

import pytest

from campaign.planner.options import CampaignOptions
from campaign.planner.split import Grant
from campaign.planner.states import CampaignState
from campaign.store.campaigns import (
    NewRecipient,
    add_recipients,
    complete_import,
    create_campaign,
    get_campaign,
)
from campaign.store.claims import claim_due, reclaim_planned, release
from campaign.store.expiry import begin_campaign, expire_some
from campaign.store.lanes import LaneBook
from campaign.store.picking import ClaimOrder
from campaign.store.tasks import mark_planned, move_until
from tests.store.conftest import Bench

WHY = "the campaign's deadline is over"


def scheduled(ledger: Bench, size: int = 3, *, start: int | None, deadline: int | None) -> int:
    campaign_id: int = ledger.do(
        create_campaign, ledger.now, name="timed", list_name="l", message="m", columns=(),
        options=CampaignOptions(),
    )  # fmt: skip
    rows = [NewRecipient(i, ledger.number(i), None, None, 1) for i in range(1, size + 1)]
    ledger.do(add_recipients, campaign_id, rows, [])
    ledger.do(complete_import, ledger.now, campaign_id, "f", (start, deadline))
    return campaign_id


@pytest.mark.parametrize(
    ("ahead", "state"),
    [(1, CampaignState.SCHEDULED), (0, CampaignState.RUNNING), (None, CampaignState.RUNNING)],
)
def test_a_campaign_is_scheduled_while_its_start_lies_ahead(
    ledger: Bench, ahead: int | None, state: CampaignState
) -> None:
    start = None if ahead is None else ledger.now + ahead
    scheduled(ledger, start=start, deadline=None)
    row = get_campaign(ledger.conn, "timed")
    assert (row.state, row.start_ms, row.deadline_ms) == (state, start, None)


def test_nothing_is_claimed_of_a_scheduled_campaign_until_it_begins(ledger: Bench) -> None:
    campaign_id = scheduled(ledger, start=ledger.now + 10, deadline=None)
    assert ledger.claim(campaign_id) == []
    ledger.do(begin_campaign, ledger.now, campaign_id, "its start")
    assert len(ledger.claim(campaign_id)) == 1
    ledger.do(begin_campaign, ledger.now, campaign_id, "its start")  # once more changes nothing
    assert ledger.decisions("running") == ["its start"]


def test_who_waits_expires_whether_pending_or_held(ledger: Bench) -> None:
    campaign_id = scheduled(ledger, 4, start=None, deadline=ledger.now + 10)
    task = ledger.claim_one(campaign_id, count=1)
    ledger.report(task, failed=[(1, 7, 38)])  # held for another try
    assert ledger.do(expire_some, ledger.now, campaign_id, WHY) == 3
    assert ledger.do(expire_some, ledger.now, campaign_id, WHY) == 1
    assert ledger.do(expire_some, ledger.now, campaign_id, WHY) == 0
    assert ledger.states(campaign_id) == ["expired"] * 4
    assert {ledger.recipient(n)["reason"] for n in range(1, 5)} == {WHY}


def test_a_task_taken_back_after_the_deadline_leaves_its_recipients_expired(ledger: Bench) -> None:
    deadline = ledger.now + 10
    campaign_id = scheduled(ledger, 2, start=None, deadline=deadline)
    early, late = ledger.claim(campaign_id, ports=(1, 2), count=1)
    ledger.do(release, early.id, deadline - 1, "never on the wire")
    ledger.do(release, late.id, deadline, "never on the wire")
    assert ledger.states(campaign_id) == ["pending", "expired"]
    assert ledger.recipient(2)["attempts"] == 0, "the attempt never was one"


def two_lanes(ledger: Bench) -> int:
    campaign_id: int = ledger.do(
        create_campaign, ledger.now, name="zoned", list_name="l", message="m", columns=(),
        options=CampaignOptions(),
    )  # fmt: skip
    book = LaneBook()
    rows = [
        NewRecipient(i, ledger.number(i), None, None, 1, book.number(zone))
        for i, zone in enumerate(("Asia/Tokyo", "Europe/London"), 1)
    ]
    ledger.do(add_recipients, campaign_id, rows, [], book.take_fresh())
    ledger.do(complete_import, ledger.now, campaign_id, "f")
    return campaign_id


def claim_lanes(ledger: Bench, campaign_id: int, until: dict[int, int]) -> list[int]:
    gateway_id = ledger.gateway()
    order = ClaimOrder(
        epoch=ledger.epoch, campaign_id=campaign_id, gateway_id=gateway_id, boot_id="boot-1",
        grants=(Grant(1, 10, f"{gateway_id}:1"),), task_size=10, most_tasks=10, only_place=False,
        now_ms=ledger.now, lanes=tuple(until), until=until,
    )  # fmt: skip
    return [task.id for task in ledger.do(claim_due, order, ledger.build).tasks]


def test_a_task_knows_its_lane_and_when_its_window_closes(ledger: Bench) -> None:
    campaign_id = two_lanes(ledger)
    first, second = claim_lanes(ledger, campaign_id, {0: 5_000, 1: 9_000})
    assert [(ledger.task(i)["lane"], ledger.task(i)["until_ms"]) for i in (first, second)] == [
        (0, 5_000),
        (1, 9_000),
    ]
    ledger.do(move_until, [(first, 7_000), (second, None)])
    assert [ledger.task(i)["until_ms"] for i in (first, second)] == [7_000, None]


def test_what_was_never_on_the_wire_is_released_where_its_window_is_closed_by_now(
    ledger: Bench,
) -> None:
    campaign_id = two_lanes(ledger)
    ids = claim_lanes(ledger, campaign_id, {0: 5_000, 1: 9_000})
    ledger.do(mark_planned, ids)
    again = ledger.do(
        reclaim_planned, ledger.epoch, ledger.gateway(), None, ledger.now, [campaign_id],
        {(campaign_id, 0)},
    )  # fmt: skip
    assert [(task.id, task.lane) for task in again] == [(ids[1], 1)]
    assert ledger.states(campaign_id) == ["pending", "assigned"]


def test_an_unproved_attempt_is_unknown_again_at_the_deadline(ledger: Bench) -> None:
    campaign_id = scheduled(ledger, 1, start=None, deadline=ledger.now + 10)
    task = ledger.claim_one(campaign_id)
    ledger.report(task, failed=[(1, 6, None)])
    assert ledger.states(campaign_id) == ["unknown"]
    ledger.conn.execute("UPDATE recipients SET state = 'pending', cause = NULL")
    ledger.conn.execute("UPDATE tallies SET n = 0")
    ledger.conn.execute("INSERT OR REPLACE INTO tallies VALUES (?, 'pending', 1)", (campaign_id,))
    assert ledger.do(expire_some, ledger.now, campaign_id, WHY) == 1
    assert ledger.states(campaign_id) == ["unknown"]
    assert ledger.recipient(1)["cause"] == "ambiguous"
