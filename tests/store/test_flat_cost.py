"""What a dispatcher asks costs the same however long the lists are.

Counted in steps of SQLite's virtual machine, which no other program on this machine can change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from campaign.store.backlog import backlog, queued
from campaign.store.verdicts import mark_sample

SHORT, LONG = 200, 8000
_A_LOOK = 80
"""Steps of one look into an index, and of its place in an order, at most."""


def steps(ledger: Any, work: Callable[..., object], *args: Any, **kwargs: Any) -> int:
    count = 0

    def tick() -> int:
        nonlocal count
        count += 1
        return 0

    ledger.conn.set_progress_handler(tick, 1)
    try:
        work(*args, **kwargs)
    finally:
        ledger.conn.set_progress_handler(None, 0)
    return count


@pytest.fixture
def lists(ledger: Any) -> tuple[int, int]:
    return ledger.campaign(SHORT, name="short"), ledger.campaign(LONG, name="long")


def test_a_claim(ledger: Any, lists: tuple[int, int]) -> None:
    # the first statement of a connection reads the schema
    ledger.claim(lists[0], ports=(9,), count=1)
    cost = [steps(ledger, ledger.claim, id_, ports=(1, 2), count=5) for id_ in lists]
    assert cost[1] <= cost[0] * 1.05
    assert ledger.do(queued, 1)


def test_a_claim_from_many_lanes(ledger: Any) -> None:
    """What its ports take is read, and one look into each lane."""
    ledger.claim(ledger.campaign(20, name="first"), ports=(9,), count=1)
    cost = []
    for lanes in (10, 200):
        campaign_id = ledger.campaign(4000, name=f"of {lanes}", lanes=lanes)
        cost.append(
            steps(ledger, ledger.claim, campaign_id, ports=(1, 2), count=50, lanes=range(lanes))
        )
    (claimed,) = ledger.conn.execute("SELECT count(*) FROM attempts").fetchone()
    assert claimed == 1 + 2 * 100
    assert cost[1] <= cost[0] + 190 * _A_LOOK


def test_what_is_left(ledger: Any, lists: tuple[int, int]) -> None:
    ledger.do(backlog, lists)
    cost = [steps(ledger, ledger.do, backlog, [id_]) for id_ in lists]
    assert cost[1] <= cost[0] * 1.05


def test_what_is_left_of_a_canary(ledger: Any, lists: tuple[int, int]) -> None:
    for id_ in lists:
        ledger.do(mark_sample, id_, 10)
    ledger.do(backlog, lists)
    cost = [steps(ledger, ledger.do, backlog, [id_]) for id_ in lists]
    assert cost[1] <= cost[0] * 1.05
