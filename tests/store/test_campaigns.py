"""Campaigns: import in chunks, one row per number, and counts that are sums."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from campaign.errors import UsageError
from campaign.planner.options import CampaignOptions
from campaign.planner.states import CampaignState, RecipientState
from campaign.store.campaigns import (
    NewRecipient,
    Refusal,
    add_recipients,
    cancel_waiting,
    complete_import,
    counts,
    create_campaign,
    drop_draft,
    fingerprint_of,
    get_campaign,
    list_campaigns,
    set_campaign_state,
    set_waiting,
    twin_campaign,
)

DAY_MS = 86_400_000


def draft(ledger: Any, name: str = "spring", options: CampaignOptions | None = None) -> int:
    campaign_id: int = ledger.do(
        create_campaign, ledger.now, name=name, list_name="list.csv", message="Hi {name}",
        columns=("name", "城市"), options=options or CampaignOptions(),
    )  # fmt: skip
    return campaign_id


def rows(*numbers: str) -> list[NewRecipient]:
    return [NewRecipient(i, number, None, None, 1) for i, number in enumerate(numbers, 2)]


def test_a_campaign_comes_back_as_it_was_asked_for(ledger: Any) -> None:
    options = CampaignOptions(rate="20/s", retries=0, settings={"task-size": "5"})
    campaign_id = draft(ledger, options=options)
    row = ledger.do(get_campaign, "spring")
    assert (row.id, row.state, row.options) == (campaign_id, CampaignState.IMPORTING, options)
    assert (row.columns, row.message, row.started_ms) == (("name", "城市"), "Hi {name}", None)


def test_a_name_is_taken_once(ledger: Any) -> None:
    draft(ledger)
    with pytest.raises(UsageError, match="already"):
        draft(ledger)


def test_a_name_that_is_not_there_names_those_that_are(ledger: Any) -> None:
    draft(ledger)
    with pytest.raises(UsageError, match="latest: spring"):
        ledger.do(get_campaign, "autumn")


def test_a_repeated_number_is_refused_within_a_chunk_and_across_chunks(ledger: Any) -> None:
    campaign_id = draft(ledger)
    again = ledger.do(add_recipients, campaign_id, rows("99911111", "99922222", "99911111"), [])
    assert [(row.row, row.number) for row in again] == [(4, "99911111")]
    again = ledger.do(add_recipients, campaign_id, rows("99922222", "99933333"), [])
    assert [row.number for row in again] == ["99922222"]
    assert ledger.do(counts, campaign_id)[RecipientState.PENDING] == 3
    refused = ledger.conn.execute("SELECT row, raw, code FROM refusals ORDER BY rowid").fetchall()
    assert [tuple(row) for row in refused] == [
        (4, "99911111", "duplicate"), (2, "99922222", "duplicate"),
    ]  # fmt: skip
    assert ledger.do(get_campaign, "spring").refused == 2


def test_another_campaign_may_hold_the_same_number(ledger: Any) -> None:
    first, second = draft(ledger, "one"), draft(ledger, "two")
    for campaign_id in (first, second):
        assert ledger.do(add_recipients, campaign_id, rows("99911111"), []) == []


def test_refused_rows_are_kept_with_their_reason(ledger: Any) -> None:
    campaign_id = draft(ledger)
    refusal = Refusal(3, "abc", "letters", "no digits in it")
    assert ledger.do(add_recipients, campaign_id, [], [refusal]) == []
    kept = ledger.conn.execute("SELECT row, raw, code, reason FROM refusals").fetchone()
    assert tuple(kept) == refusal


def test_a_malformed_number_is_an_error_never_a_duplicate(ledger: Any) -> None:
    campaign_id = draft(ledger)
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        ledger.do(add_recipients, campaign_id, rows("+99911111"), [])


def test_the_order_of_the_list_is_the_order_of_ids(ledger: Any) -> None:
    campaign_id = draft(ledger)
    ledger.do(add_recipients, campaign_id, rows("99933333", "99911111"), [])
    ledger.do(add_recipients, campaign_id, rows("99933333", "99922222"), [])
    numbers = ledger.conn.execute("SELECT number FROM recipients ORDER BY id").fetchall()
    assert [row["number"] for row in numbers] == ["99933333", "99911111", "99922222"]


def test_the_same_numbers_in_any_order_with_the_same_text_are_twins_for_a_week(
    ledger: Any,
) -> None:
    fingerprint = fingerprint_of(12345, 2, "hi")
    assert fingerprint != fingerprint_of(12345, 2, "ho")
    assert fingerprint != fingerprint_of(12345, 3, "hi")
    assert fingerprint != fingerprint_of(12346, 2, "hi")
    first = draft(ledger, "one")
    ledger.do(complete_import, ledger.now, first, fingerprint)
    second = draft(ledger, "two")
    assert ledger.do(twin_campaign, ledger.now, first, fingerprint) is None
    week = ledger.now + 7 * DAY_MS
    assert ledger.do(twin_campaign, week - 1, second, fingerprint).name == "one"
    assert ledger.do(twin_campaign, week, second, fingerprint) is None
    assert ledger.do(twin_campaign, ledger.now, second, fingerprint_of(1, 1, "")) is None


def test_an_import_becomes_a_running_campaign_once(ledger: Any) -> None:
    campaign_id = draft(ledger)
    ledger.do(complete_import, ledger.now, campaign_id, "f")
    row = ledger.do(get_campaign, "spring")
    assert (row.state, row.started_ms) == (CampaignState.RUNNING, ledger.now)
    ledger.do(set_campaign_state, ledger.now, campaign_id, CampaignState.PAUSED, "a test")
    ledger.do(complete_import, ledger.now + 5, campaign_id, "g")
    assert ledger.do(get_campaign, "spring").state is CampaignState.PAUSED


def test_a_draft_is_dropped_without_a_trace_and_nothing_else_ever(ledger: Any) -> None:
    campaign_id = draft(ledger)
    ledger.do(add_recipients, campaign_id, rows("99911111", "99911111"), [])
    ledger.do(drop_draft, campaign_id)
    for table in ("campaigns", "recipients", "refusals", "tallies"):
        assert ledger.conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0
    running = ledger.campaign(2)
    ledger.do(drop_draft, running)
    assert ledger.states(running) == ["pending", "pending"]
    assert ledger.do(counts, running)[RecipientState.PENDING] == 2


def test_campaigns_are_listed_by_state_oldest_first(ledger: Any) -> None:
    draft(ledger, "one")
    ledger.campaign(1, name="two")
    assert [row.name for row in ledger.do(list_campaigns)] == ["one", "two"]
    found = ledger.do(list_campaigns, (CampaignState.RUNNING,))
    assert [row.name for row in found] == ["two"]


def test_a_move_of_a_campaign_is_a_decision_and_clears_what_it_waited_for(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    ledger.do(set_waiting, campaign_id, "the window")
    assert ledger.do(get_campaign, "spring").waiting_for == "the window"
    ledger.do(set_campaign_state, ledger.now, campaign_id, CampaignState.FINISHED, "all final")
    row = ledger.do(get_campaign, "spring")
    assert (row.waiting_for, row.finished_ms) == (None, ledger.now)
    assert ledger.decisions("finished") == ["all final"]


def test_cancelling_takes_whoever_waits_and_leaves_whoever_is_in_flight(ledger: Any) -> None:
    campaign_id = ledger.campaign(4)
    ledger.report(ledger.claim_one(campaign_id, count=1), failed=[(1, 7, None)])
    ledger.claim_one(campaign_id, count=1, ports=(2,))
    assert ledger.states(campaign_id) == ["held", "assigned", "pending", "pending"]
    assert ledger.do(cancel_waiting, ledger.now, campaign_id, "enough", by="operator") == 3
    assert ledger.states(campaign_id) == ["cancelled", "assigned", "cancelled", "cancelled"]
    assert ledger.do(get_campaign, "spring").state is CampaignState.CANCELLED


def test_counts_name_every_state(ledger: Any) -> None:
    campaign_id = ledger.campaign(2)
    found = ledger.do(counts, campaign_id)
    assert set(found) == set(RecipientState)
    assert sum(found.values()) == 2
