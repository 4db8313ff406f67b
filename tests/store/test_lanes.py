"""Lanes of a campaign: numbered as its list comes in, walked without a look at who waits there."""

from __future__ import annotations

from campaign.planner.lanes import Lane
from campaign.planner.options import CampaignOptions
from campaign.store.campaigns import (
    NewRecipient,
    add_recipients,
    complete_import,
    create_campaign,
    get_campaign,
)
from campaign.store.lanes import (
    ONLY_LANE,
    LaneBook,
    lane_counts,
    lanes_of,
    waiting_in,
    waiting_lanes,
)
from tests.store.conftest import Bench


def laned(ledger: Bench, *zones: str) -> int:
    """A campaign with one recipient a zone, in this order."""
    campaign_id: int = ledger.do(
        create_campaign, 1, name="laned", list_name="l", message="m", columns=(),
        options=CampaignOptions(),
    )  # fmt: skip
    book = LaneBook()
    rows = [
        NewRecipient(i, ledger.number(i), None, None, 1, book.number(zone))
        for i, zone in enumerate(zones, 2)
    ]
    ledger.do(add_recipients, campaign_id, rows, [], book.take_fresh())
    ledger.do(complete_import, 1, campaign_id, "f")
    return campaign_id


def test_a_lane_is_numbered_once_and_told_once() -> None:
    book = LaneBook()
    assert [book.number("Asia/Tokyo"), book.number(), book.number("Asia/Tokyo")] == [0, 1, 0]
    assert book.take_fresh() == [Lane(0, "Asia/Tokyo"), Lane(1)]
    assert book.number("Asia/Tokyo", sim="89") == 2
    assert book.take_fresh() == [Lane(2, "Asia/Tokyo", "", "89")]


def test_a_campaign_that_stored_no_lane_has_one(ledger: Bench) -> None:
    campaign_id = ledger.campaign(3)
    assert lanes_of(ledger.conn, campaign_id) == ONLY_LANE
    assert get_campaign(ledger.conn, "spring").lanes == ONLY_LANE
    assert waiting_lanes(ledger.conn, campaign_id) == [0]


def test_lanes_are_stored_with_the_recipients_that_bring_them(ledger: Bench) -> None:
    campaign_id = laned(ledger, "Asia/Tokyo", "", "Asia/Tokyo", "Europe/London")
    lanes = (Lane(0, "Asia/Tokyo"), Lane(1), Lane(2, "Europe/London"))
    assert lanes_of(ledger.conn, campaign_id) == lanes
    assert get_campaign(ledger.conn, "laned").lanes == lanes
    assert lane_counts(ledger.conn, campaign_id) == {0: 2, 1: 1, 2: 1}


def test_only_lanes_in_which_somebody_waits_are_waiting(ledger: Bench) -> None:
    campaign_id = laned(ledger, "Asia/Tokyo", "", "Asia/Tokyo", "Europe/London")
    assert waiting_lanes(ledger.conn, campaign_id) == [0, 1, 2]
    assert waiting_in(ledger.conn, campaign_id, 0, 10) == 2
    assert waiting_in(ledger.conn, campaign_id, 0, 1) == 1
    ledger.claim(campaign_id)  # those of lane 0
    assert waiting_lanes(ledger.conn, campaign_id) == [1, 2]
    ledger.conn.execute(
        "UPDATE campaigns SET sample_end = (SELECT min(id) FROM recipients WHERE lane = 1)"
    )
    assert waiting_lanes(ledger.conn, campaign_id) == [1]  # the canary ends with its first


def test_the_walk_over_lanes_reads_the_index_of_those_who_wait(ledger: Bench) -> None:
    campaign_id = laned(ledger, "Asia/Tokyo", "")
    read: list[str] = []
    ledger.conn.set_trace_callback(read.append)
    waiting_lanes(ledger.conn, campaign_id)
    ledger.conn.set_trace_callback(None)
    (walk,) = [sql for sql in read if "RECURSIVE" in sql]
    steps = [row["detail"] for row in ledger.conn.execute("EXPLAIN QUERY PLAN " + walk)]
    assert not [step for step in steps if step.startswith("SCAN r")]
    # from lane to lane, and the first who waits in each
    assert sum("recipients_pending" in step for step in steps) == 3
