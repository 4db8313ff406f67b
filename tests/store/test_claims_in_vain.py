"""A claim that takes nobody tells why: nobody waits, they were skipped, or they cannot go here."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from campaign.planner.quotas import Amounts, Caps
from campaign.store.claims import Claim
from campaign.store.suppression import block
from campaign.store.usage import SimLimits

NOBODY = Claim([])


def test_those_who_wait_and_failed_here_all_are_in_vain(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    ledger.report(ledger.claim_one(campaign_id), failed=[(1, 7, None)])
    ledger.now = ledger.recipient(1)["due_ms"]
    assert ledger.look_for(campaign_id) == Claim([], in_vain=True)


def test_those_for_whom_the_sim_has_no_room_are_in_vain_and_too_large(ledger: Any) -> None:
    campaign_id = ledger.campaign(2, parts=3)
    sims = {1: SimLimits("89861", Caps(Amounts(hour=2)), UTC)}
    assert ledger.look_for(campaign_id, sims=sims) == Claim([], in_vain=True, too_large=True)


def test_where_others_took_the_last_nothing_was_in_vain(ledger: Any) -> None:
    campaign_id = ledger.campaign(2)
    ledger.claim_one(campaign_id, ports=(2,))
    assert ledger.look_for(campaign_id) == NOBODY


def test_where_others_took_the_last_of_a_lane_those_of_others_do_not_count(ledger: Any) -> None:
    campaign_id = ledger.campaign(4, lanes=2)
    ledger.claim_one(campaign_id, lanes=(1,))
    assert ledger.look_for(campaign_id, lanes=(1,)) == NOBODY
    assert ledger.states(campaign_id).count("pending") == 2


def test_those_behind_the_canary_do_not_count(ledger: Any) -> None:
    campaign_id = ledger.campaign(3)
    ledger.conn.execute("UPDATE campaigns SET sample_end = 1")
    ledger.claim_one(campaign_id)
    assert ledger.states(campaign_id) == ["assigned", "pending", "pending"]
    assert ledger.look_for(campaign_id) == NOBODY


def test_where_somebody_was_skipped_others_may_wait_behind_them(ledger: Any) -> None:
    campaign_id = ledger.campaign(9)
    ledger.do(block, ledger.now, "rivals", [ledger.number(n) for n in range(1, 9)])
    assert ledger.look_for(campaign_id, count=4, most_skipped=4) == Claim([], skipped=4)
    assert ledger.look_for(campaign_id, count=1).skipped == 4
    assert ledger.states(campaign_id) == ["skipped"] * 8 + ["assigned"]
