"""Whoever waits again after an attempt that was never proved has a decision about that attempt."""

from __future__ import annotations

from typing import Any

import pytest

from campaign.engine.deciding import resolve, retry
from campaign.planner.states import UnknownCause
from campaign.store.claims import ClaimedTask
from campaign.store.outcomes import close_unknown
from campaign.store.replayed import RELEASED, replayed
from tests.store.conftest import Bench
from tests.store.test_invariants import harmed

WAITS = "UPDATE recipients SET state = 'pending', cause = NULL"


def lost(ledger: Bench, campaign: int) -> ClaimedTask:
    """One more attempt, of which nothing is ever heard."""
    task = ledger.claim_one(campaign)
    ledger.do(close_unknown, ledger.now, task.id, UnknownCause.SILENCE, "no report")
    return task


def decide(ledger: Bench, verb: Any, **chosen: Any) -> None:
    parameters = {"name": "spring", "causes": ["all"], "by": "operator eva", "yes": True, **chosen}
    ledger.do(verb, ledger.now, parameters)


def given_back(ledger: Bench, campaign: int) -> str:
    (found,) = [law for law in replayed(ledger.conn, None, campaign) if law.law == RELEASED]
    return found.verdict


@pytest.mark.parametrize("way", ["resend", "retry"])
def test_a_resend_and_a_retry_both_account_for_whoever_waits_again(ledger: Bench, way: str) -> None:
    campaign = ledger.campaign(1)
    lost(ledger, campaign)
    if way == "resend":
        decide(ledger, resolve, **{"as": "resend"})
    else:
        decide(ledger, resolve, **{"as": "failed"})
        decide(ledger, retry)
    assert ledger.states(campaign) == ["pending"]
    assert given_back(ledger, campaign) == "holds"


def test_a_decision_about_one_attempt_does_not_account_for_a_later_one(ledger: Bench) -> None:
    campaign = ledger.campaign(1)
    lost(ledger, campaign)
    decide(ledger, resolve, **{"as": "resend"})
    second = lost(ledger, campaign)
    assert given_back(ledger, campaign) == "holds"
    with harmed(ledger, WAITS):
        assert given_back(ledger, campaign) == "broken"
    with harmed(ledger, WAITS, f"UPDATE decisions SET task_id = {second.id}"):
        assert given_back(ledger, campaign) == "broken", "now the first one has none"


def test_a_word_alone_does_not_give_anybody_back(ledger: Bench) -> None:
    campaign = ledger.campaign(1)
    lost(ledger, campaign)
    decide(ledger, resolve, **{"as": "failed"})
    with harmed(ledger, WAITS):
        assert given_back(ledger, campaign) == "broken"
