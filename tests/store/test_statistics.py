"""The device's own counters as a third ledger: proof only when they account for everything."""

from __future__ import annotations

from typing import Any

import pytest

from campaign.protocol.messages import SmsStat
from campaign.store.statistics import accounts_exactly, keep_baseline, sum_by_port
from campaign.store.tasks import reject


def stat(port: int = 1, ok: int = 0, failed: int = 0, sending: int = 0, slot: int = 1) -> SmsStat:
    return SmsStat(
        port=port, slot=slot, received=0, sent=ok + failed, sent_ok=ok, sent_failed=failed,
        con_failed=0, unsent=0, sending=sending,
    )  # fmt: skip


def baseline(ledger: Any, *stats: SmsStat, boot: str = "boot-1") -> None:
    ledger.do(keep_baseline, ledger.gateway(), boot, stats)


def accounts(ledger: Any, task: Any, *stats: SmsStat, boot: str = "boot-1") -> bool:
    told: bool = ledger.do(accounts_exactly, task.id, boot, stats)
    return told


def test_slots_are_summed_by_port() -> None:
    stats = [stat(1, 1, 2, 3), stat(1, 10, 20, 30, slot=2), stat(2, 5)]
    assert sum_by_port(stats) == {1: (11, 22, 33), 2: (5, 0, 0)}


def test_growth_of_exactly_what_is_reported_proves_the_rest_unsent(ledger: Any) -> None:
    campaign_id = ledger.campaign(4)
    baseline(ledger, stat(ok=100, failed=7))
    task = ledger.claim_one(campaign_id)
    assert accounts(ledger, task, stat(ok=100, failed=7))
    ledger.report(task, sent=[1], failed=[(2, 7, 1), (3, 6, None)])
    assert accounts(ledger, task, stat(ok=101, failed=9))


@pytest.mark.parametrize(
    ("now", "boot"),
    [
        pytest.param(stat(ok=102, failed=7), "boot-1", id="one-more-sent"),
        pytest.param(stat(ok=101, failed=8), "boot-1", id="one-more-failed"),
        pytest.param(stat(ok=100, failed=7), "boot-1", id="fewer-than-reported"),
        pytest.param(stat(ok=101, failed=7, sending=1), "boot-1", id="one-in-the-air"),
        pytest.param(stat(ok=101, failed=7), "boot-2", id="another-boot"),
        pytest.param(stat(2, ok=101, failed=7), "boot-1", id="the-port-is-not-listed"),
    ],
)
def test_anything_else_proves_nothing(ledger: Any, now: SmsStat, boot: str) -> None:
    campaign_id = ledger.campaign(2)
    baseline(ledger, stat(ok=100, failed=7))
    task = ledger.claim_one(campaign_id)
    ledger.report(task, sent=[1])
    assert not accounts(ledger, task, now, boot=boot)


def test_a_port_without_a_baseline_proves_nothing(ledger: Any) -> None:
    task = ledger.claim_one(ledger.campaign(1))
    assert not accounts(ledger, task, stat())


def test_a_port_that_is_not_known_proves_nothing(ledger: Any) -> None:
    task = ledger.claim_one(ledger.campaign(1), ports=(31,))
    baseline(ledger, stat(31))
    assert not accounts(ledger, task, stat(31))


def test_no_baseline_is_taken_while_something_of_ours_lives_there(ledger: Any) -> None:
    task = ledger.claim_one(ledger.campaign(1))
    baseline(ledger, stat(ok=5))
    assert not accounts(ledger, task, stat(ok=5))


def test_no_baseline_is_taken_while_a_message_is_in_the_air(ledger: Any) -> None:
    baseline(ledger, stat(ok=5, sending=1))
    task = ledger.claim_one(ledger.campaign(1))
    assert not accounts(ledger, task, stat(ok=5))


def test_a_task_older_than_the_baseline_proves_nothing(ledger: Any) -> None:
    task = ledger.claim_one(ledger.campaign(1))
    ledger.report(task, sent=[1])
    baseline(ledger, stat(ok=5))
    assert not accounts(ledger, task, stat(ok=5))


def test_every_task_since_the_baseline_counts_on_its_own_port_only(ledger: Any) -> None:
    campaign_id = ledger.campaign(6)
    baseline(ledger, stat(1), stat(2))
    first, other = ledger.claim(campaign_id, ports=(1, 2), count=2)
    ledger.report(first, sent=[1, 2])
    ledger.report(other, sent=[1])
    second = ledger.claim_one(campaign_id, ports=(1,), count=1)
    assert accounts(ledger, second, stat(1, ok=2), stat(2, ok=1))
    assert accounts(ledger, other, stat(1, ok=2), stat(2, ok=1))
    assert not accounts(ledger, second, stat(1, ok=3), stat(2, ok=1))


def test_a_task_the_device_refused_was_never_in_its_counters(ledger: Any) -> None:
    campaign_id = ledger.campaign(2)
    baseline(ledger, stat())
    refused = ledger.claim_one(campaign_id, count=1)
    ledger.do(reject, refused.id, ledger.now, 8, "no text", fail=True)
    task = ledger.claim_one(campaign_id, count=1)
    assert accounts(ledger, task, stat())
    assert not accounts(ledger, task, stat(failed=1))


def test_counters_no_sim_can_have_are_no_baseline(ledger: Any) -> None:
    ledger.gateway()
    huge = [SmsStat(port=1, sent_ok=2**63 - 1), SmsStat(port=1, sent_ok=2**63 - 1)]
    ledger.do(keep_baseline, 1, "boot-1", huge)
    assert ledger.conn.execute("SELECT stat_boot FROM ports WHERE port = 1").fetchone()[0] is None
