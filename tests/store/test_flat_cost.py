"""What a dispatcher asks costs the same however long the lists are.

Counted in steps of SQLite's virtual machine, which no other program on this machine can change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from campaign.store.backlog import backlog, queued
from campaign.store.claims import reclaim_planned
from campaign.store.tasks import (
    any_live_task,
    gateways_in_use,
    in_flight_by_gateway,
    last_closed,
    live_tasks,
    outstanding,
    overtaken_tasks,
    owners,
    tasks_of_unwanted,
)
from campaign.store.usage import charge_to_another
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


OF_LIVE_TASKS: dict[str, tuple[Callable[..., object], tuple[object, ...]]] = {
    "queued": (queued, (1,)),
    "backlog": (backlog, ([1],)),
    "live tasks": (live_tasks, (1,)),
    "any live task": (any_live_task, ()),
    "gateways in use": (gateways_in_use, (1,)),
    "outstanding": (outstanding, (1,)),
    "in flight": (in_flight_by_gateway, ()),
    "whose": (owners, (1, [7])),
    "unwanted": (tasks_of_unwanted, (1,)),
    "overtaken": (overtaken_tasks, (1,)),
    "last closed": (last_closed, (1,)),
    "moved": (charge_to_another, (1, {1: "8999"}, 1)),
    "never on the wire": (reclaim_planned, (1, 1, None, 1)),
}


def test_what_is_over_costs_nothing(ledger: Any) -> None:
    """Whoever asks for the tasks that live does not walk over those that are closed."""
    campaign_id = ledger.campaign(1000)
    ledger.claim(campaign_id, ports=(2,), count=8, task_size=4)

    def costs() -> dict[str, int]:
        return {
            name: steps(ledger, ledger.do, ask, *arguments)
            for name, (ask, arguments) in OF_LIVE_TASKS.items()
        }

    costs()  # the first statement of a connection reads the schema
    before = costs()
    for task in ledger.claim(campaign_id, count=900, task_size=1, most_tasks=900):
        ledger.report(task, sent=[1], counters=(0, 1, 0, 0))
    grown = {name: (before[name], cost) for name, cost in costs().items()}
    assert {name: both for name, both in grown.items() if both[1] > both[0] * 1.1 + 20} == {}
