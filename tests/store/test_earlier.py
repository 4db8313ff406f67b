"""What an earlier run left on a device, and whether its reports ever came."""

from __future__ import annotations

from typing import Any

from campaign.store.earlier import heard_runs, held_by_ports, unheard_by_ports
from campaign.store.tasks import mark_paused
from tests.store.test_backlog import mark_accepted_for_test


def test_what_a_device_was_given_counts_until_it_is_told_or_taken_from_the_way(ledger: Any) -> None:
    campaign_id = ledger.campaign(6)
    first, second = (ledger.claim_one(campaign_id, count=3) for _ in range(2))
    assert ledger.do(held_by_ports, 1) == {first.port: 6}
    ledger.report(first, sent=[1])
    assert ledger.do(held_by_ports, 1) == {first.port: 5}
    ledger.do(mark_accepted_for_test, second.id)
    ledger.do(mark_paused, [second.id])
    assert ledger.do(held_by_ports, 1) == {first.port: 2}
    assert ledger.do(held_by_ports, 2) == {}


def test_a_run_is_heard_once_the_device_has_reported_a_task_of_it(ledger: Any) -> None:
    campaign_id = ledger.campaign(6)
    first, second = (ledger.claim_one(campaign_id, count=2) for _ in range(2))
    assert ledger.do(heard_runs) == {}
    ledger.report(first, sent=[1, 2], counters=(0, 2, 0, 0))
    assert ledger.do(heard_runs) == {1: {ledger.epoch}}
    assert ledger.do(unheard_by_ports, 1, {ledger.epoch}) == {}
    assert ledger.do(unheard_by_ports, 1, {ledger.epoch + 1}) == {second.port: 2}
    ledger.report(second, sent=[1, 2])
    assert ledger.do(heard_runs) == {}, "nothing of it is left on the device"
