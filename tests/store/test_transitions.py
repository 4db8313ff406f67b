"""The engine moves a campaign only from the state it decided for."""

from __future__ import annotations

from typing import Any

import pytest

from campaign.planner.states import CampaignState
from campaign.store.campaigns import get_campaign, set_campaign_state, set_waiting
from campaign.store.transitions import move_from, tell_waiting

S = CampaignState


def test_a_move_from_an_expected_state_is_stored_with_its_reason(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    moved = ledger.do(
        move_from, ledger.now, campaign_id, (S.RUNNING,), S.WAITING, "alarm", waiting_for="gw: 7"
    )
    row = ledger.do(get_campaign, "spring")
    assert (moved, row.state, row.waiting_for) == (True, S.WAITING, "gw: 7")
    assert ledger.decisions("waiting") == ["alarm"]


@pytest.mark.parametrize("stored", [S.PAUSED, S.CANCELLED, S.FINISHED, S.SCHEDULED])
def test_from_any_other_state_nothing_is_moved_nor_told(ledger: Any, stored: S) -> None:
    campaign_id = ledger.campaign(1)
    ledger.do(set_campaign_state, ledger.now, campaign_id, stored, "asked to", by="operator")
    ledger.do(set_waiting, campaign_id, "as it was")
    before = ledger.do(get_campaign, "spring")
    expected = (S.RUNNING, S.WAITING)
    assert not ledger.do(move_from, 9, campaign_id, expected, S.WAITING, "alarm", waiting_for="gw")
    ledger.do(tell_waiting, campaign_id, S.RUNNING, "gw: pacing")
    assert ledger.do(get_campaign, "spring") == before
    assert ledger.decisions("waiting") == []


def test_what_it_waits_for_is_told_of_the_state_it_was_found_in(ledger: Any) -> None:
    campaign_id = ledger.campaign(1)
    ledger.do(tell_waiting, campaign_id, S.RUNNING, "gw: pacing")
    assert ledger.do(get_campaign, "spring").waiting_for == "gw: pacing"
