"""Claims that take nobody cost whoever waits nothing, and nobody else either."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import trio

from campaign.engine.engine import run_engine
from campaign.engine.runtime import Run
from campaign.planner.states import RecipientState
from campaign.store.claims import wake_due
from campaign.store.door import transaction
from campaign.store.journal import Tally
from campaign.store.suppression import block
from tests.engine.overtaking import store_campaign
from tests.engine.test_many_campaigns import ASSUME, people, run_for

R = RecipientState
_EVER_MS = 2**60


def first_claims(world: Any) -> dict[int, float]:
    """When the first task of each campaign was written down, in seconds of the world."""
    start = world.env.wall().timestamp() - trio.current_time() + world.zero
    rows = world.sql("SELECT campaign_id, min(created_ms) FROM tasks GROUP BY 1")
    return {id_: at / 1000 - start for id_, at in rows}


def when_skipped(world: Any, then: Callable[[], None] = lambda: None) -> list[float]:
    """Watch for the first commit that skipped somebody; the list holds when that was."""
    seen: list[float] = []

    def look(_result: object) -> None:
        if not seen and world.sql("SELECT 1 FROM tallies WHERE state = 'skipped' AND n > 0"):
            seen.append(trio.current_time() - world.zero)
            then()

    world.after_commit = look
    return seen


async def test_a_long_run_of_blocked_numbers_holds_up_neither_its_own_nor_other_campaigns(
    autojump_clock: object, make_world: Callable[..., Any]
) -> None:
    blocked = people(1, 20_500)  # more than a claim walks through
    async with make_world(settings=ASSUME, sim1={"ports": 1, "sms_seconds": 2}) as world:
        one = store_campaign(world, "one", [*blocked, *people(3, 3)], receipts=False)
        two = store_campaign(world, "two", people(2, 9), receipts=False)
        with transaction(world.conn):
            block(world.conn, 1, "rivals", blocked)
        skipped = when_skipped(world)
        await run_for(world, 120, one, two)
        assert world.on_air() == Counter(people(3, 3) + people(2, 9))
        begun = first_claims(world)
        assert begun[two] - skipped[0] < 0.1
        assert begun[one] - skipped[0] < 0.5


async def test_who_comes_back_while_others_are_skipped_does_not_wait_for_another_port(
    autojump_clock: object, make_world: Callable[..., Any]
) -> None:
    there, later = people(1, 3), people(2, 3)
    async with make_world(settings=ASSUME, sim1={"ports": 1, "sms_seconds": 2}) as world:
        one = store_campaign(world, "one", [*there, *later], receipts=False)
        with transaction(world.conn):
            block(world.conn, 1, "rivals", there)
            world.conn.execute(
                "UPDATE recipients SET state = 'held', due_ms = ? WHERE number >= ?",
                (_EVER_MS, later[0]),
            )
            tally = Tally()
            tally.moved(one, R.PENDING, R.HELD, 3)
            tally.store(world.conn)

        def come_back() -> None:  # as many as were skipped
            with transaction(world.conn):
                wake_due(world.conn, one, _EVER_MS)

        skipped = when_skipped(world, come_back)
        known: list[object] = []

        async def job(run: Run) -> None:
            run.targets.add(one)
            known.append(run.campaigns[one].nobody)

        await run_engine(world.run(), job)
        assert known == [{}]
        assert first_claims(world)[one] - skipped[0] < 0.5
        assert world.on_air() == Counter(later)
