"""What a dispatcher's turn begins with: what waits, and what is queued on a device."""

from __future__ import annotations

from typing import Any

from campaign.planner.states import TaskState
from campaign.store.backlog import Queued, Work, backlog, queued
from campaign.store.tasks import mark_paused


def test_what_is_left_and_when_it_is_due(ledger: Any) -> None:
    campaign_id = ledger.campaign(3)
    assert ledger.do(backlog, [campaign_id]).work == {campaign_id: Work(3, 0, None)}
    ledger.report(ledger.claim_one(campaign_id, count=1), failed=[(1, 7, None)])
    assert ledger.do(backlog, [campaign_id]).work == {campaign_id: Work(2, 0, ledger.now + 10_000)}


def test_what_is_in_flight_counts_every_campaign_for_they_share_the_ports(ledger: Any) -> None:
    first, second = ledger.campaign(2, name="one"), ledger.campaign(3, name="two")
    ledger.claim_one(first)
    left = ledger.do(backlog, [second])
    assert (left.work, left.in_flight) == ({second: Work(3, 0, None)}, 2)


def test_what_is_queued_is_told_by_port_and_state(ledger: Any) -> None:
    campaign_id = ledger.campaign(4)
    first = ledger.claim_one(campaign_id, count=3)
    ledger.do(mark_accepted_for_test, first.id)
    ledger.do(mark_paused, [first.id])
    assert ledger.do(queued, 1) == [Queued(campaign_id, first.port, TaskState.PAUSED, 3)]


def mark_accepted_for_test(conn: Any, task_id: int) -> None:
    conn.execute("UPDATE tasks SET state = 'accepted', accepted_ms = 1 WHERE id = ?", (task_id,))


def test_what_is_left_is_read_from_indexes(ledger: Any) -> None:
    plan = ledger.conn.execute(
        "EXPLAIN QUERY PLAN SELECT campaign_id, n FROM tallies WHERE state = 'assigned' AND n > 0"
    ).fetchall()
    assert "tallies_assigned" in plan[0]["detail"]
