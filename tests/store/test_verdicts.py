"""The claim itself stops at the end of a canary, whoever asks and however often."""

from __future__ import annotations

from typing import Any

from campaign.planner.states import RecipientState
from campaign.store.backlog import backlog
from campaign.store.verdicts import (
    end_sample,
    judge_anew,
    judged_before,
    mark_sample,
    sample_counts,
)


def test_no_more_than_the_first_are_claimed_until_they_are_judged(ledger: Any) -> None:
    campaign_id = ledger.campaign(10)
    ledger.do(mark_sample, campaign_id, 4)
    assert ledger.do(backlog, [campaign_id]).work[campaign_id].pending == 4
    first = ledger.claim(campaign_id, ports=(1, 2), count=3)
    assert sum(task.size for task in first) == 4
    assert not ledger.claim(campaign_id, ports=(3,), count=3)
    assert ledger.do(backlog, [campaign_id]).work[campaign_id].pending == 0
    ledger.do(end_sample, campaign_id)
    assert sum(task.size for task in ledger.claim(campaign_id, ports=(3,), count=9)) == 6


def test_who_is_tried_again_counts_in_the_canary(ledger: Any) -> None:
    campaign_id = ledger.campaign(10)
    ledger.do(mark_sample, campaign_id, 2)
    task = ledger.claim_one(campaign_id, count=2)
    ledger.report(task, sent=[1], failed=[(2, 7, None)])
    assert ledger.do(sample_counts, campaign_id)[RecipientState.HELD] == 1
    ledger.now += 10_000
    again = ledger.claim(campaign_id, ports=(2,), count=5)
    assert sum(task.size for task in again) == 1


def test_what_was_judged_is_remembered(ledger: Any) -> None:
    campaign_id = ledger.campaign(3)
    assert ledger.do(judged_before, campaign_id) == {}
    ledger.report(ledger.claim_one(campaign_id, count=2), sent=[1, 2])
    ledger.do(judge_anew, campaign_id)
    assert ledger.do(judged_before, campaign_id)["sent"] == 2
