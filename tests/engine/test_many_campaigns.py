"""Campaigns side by side: strict priorities, fair shares, and each of them steered alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import trio

from campaign.engine.engine import run_engine
from campaign.engine.runtime import Run
from campaign.errors import EngineError
from tests.engine.overtaking import hand_over, store_campaign
from tests.engine.test_steering import do

Numbers = Callable[[int], list[str]]
ASSUME = {"return-path": "assume"}


def people(letter: int, count: int) -> list[str]:
    return [f"9991{letter}{nth:07d}" for nth in range(count)]


def sent_by(world: Any, until: float) -> Counter[str]:
    """Messages by campaign (the fifth digit) that began in the first `until` seconds."""
    zero = world.env.wall().timestamp() - (world.env.monotonic() - world.zero)
    return Counter(a.number[4] for a in world.attempts if a.t - zero < until)


async def run_for(world: Any, seconds: float, *names: int) -> None:
    """Send for these campaigns, and end the run after a while."""

    async def job(run: Run) -> None:
        run.targets |= set(names)

    with trio.move_on_after(seconds):
        await run_engine(world.run(), job)


@pytest.mark.slow
async def test_what_is_claimed_within_a_priority_follows_the_shares(
    autojump_clock: object, make_world: Callable[..., Any]
) -> None:
    device = {"ports": 8, "sms_seconds": 2}
    async with make_world(settings=ASSUME, sim1=device, sim2={**device, "seed": 2}) as world:
        ids = [
            store_campaign(world, f"c{nth}", people(nth, 3000), share=share, receipts=False)
            for nth, share in ((1, 1), (2, 2), (3, 5))
        ]
        await run_for(world, 600, *ids)
        claimed = dict(world.sql("SELECT campaign_id, sum(size) FROM tasks GROUP BY 1"))
        by_share = [claimed[id_] / share for id_, share in zip(ids, (1, 2, 5), strict=True)]
        # the error is bounded by a grant of each: what one gateway's ports take at once
        (largest,) = world.sql(
            "SELECT max(n) FROM (SELECT sum(size) AS n FROM tasks GROUP BY post_id)"
        )
        assert max(by_share) - min(by_share) <= 2 * largest[0]
        assert min(by_share) > 300


async def test_a_lower_priority_waits_until_the_higher_has_no_more_to_claim(
    autojump_clock: object, make_world: Callable[..., Any]
) -> None:
    async with make_world(settings=ASSUME, sim1={"ports": 4, "sms_seconds": 2}) as world:
        low = store_campaign(world, "low", people(1, 60), priority="low", receipts=False)
        high = store_campaign(world, "high", people(2, 200), priority="high", receipts=False)
        await run_for(world, 2000, low, high)
        first_low = world.sql("SELECT min(id) FROM tasks WHERE campaign_id = ?", low)[0][0]
        last_high = world.sql("SELECT max(id) FROM tasks WHERE campaign_id = ?", high)[0][0]
        # ports that the last of `high` leave over go to `low` at once
        assert first_low > last_high - 8
        assert world.on_air() == Counter(people(1, 60) + people(2, 200))


@pytest.mark.slow
async def test_a_campaign_that_comes_late_gets_its_share_from_then_on(
    autojump_clock: object, make_world: Callable[..., Any]
) -> None:
    async with make_world(settings=ASSUME, sim1={"ports": 8, "sms_seconds": 2}) as world:
        old = store_campaign(world, "old", people(1, 3000), receipts=False)

        async def late() -> None:
            await trio.sleep(300)
            await hand_over(world, "late", people(2, 600), receipts=False)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(late)
            await run_for(world, 600, old)
        claimed = dict(
            world.sql(
                """
                SELECT campaign_id, sum(size) FROM tasks WHERE intent_ms BETWEEN
                    (SELECT min(intent_ms) FROM tasks WHERE campaign_id = ?1)
                    AND (SELECT max(intent_ms) FROM tasks WHERE campaign_id = ?1)
                GROUP BY 1
                """,
                old + 1,
            )
        )
        assert claimed[old + 1] == 600
        # one grant each: what eight ports with a minute's window take at once
        assert abs(claimed[old + 1] - claimed[old]) <= 2 * 8 * 30


@pytest.mark.slow
async def test_a_new_priority_acts_within_a_second_and_is_stored(
    autojump_clock: object, make_world: Callable[..., Any]
) -> None:
    async with make_world(settings=ASSUME, sim1={"ports": 4, "sms_seconds": 6}) as world:
        big = store_campaign(world, "big", people(1, 200), receipts=False)
        small = store_campaign(world, "small", people(2, 8), priority="low", receipts=False)
        done: list[float] = []

        async def change() -> None:
            await trio.sleep(100)
            assert not sent_by(world, 100)["2"]
            told = await do(world, "priority", name="small", priority="urgent", share=None)
            assert told == {"priority": "urgent", "share": 1}
            await trio.sleep(1)
            assert len(world.sql("SELECT 1 FROM tasks WHERE campaign_id = ?", small)) >= 4
            paused = world.sql("SELECT count(*) FROM tasks WHERE state = 'paused'")
            assert paused[0][0] >= 4
            await trio.sleep(30)
            done.append(sent_by(world, 131)["2"])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(change)
            await run_for(world, 3000, big, small)
        assert done == [8]
        assert world.sql("SELECT by, why FROM decisions WHERE kind = 'priority'") == [
            ("operator", "priority urgent, share 1")
        ]
        assert world.on_air() == Counter(people(1, 200) + people(2, 8))
        world.check()


async def test_a_priority_that_cannot_be_is_refused(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}) as world:
        store_campaign(world, "c", numbers(3))

        async def work() -> None:
            await trio.sleep(1)
            with pytest.raises(EngineError, match="one of urgent, high, normal, low"):
                await do(world, "priority", name="c", priority="soon")
            with pytest.raises(EngineError, match="--share counts from 1"):
                await do(world, "priority", name="c", share=0)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(work)
            await world.resume()
        assert world.states("c") == {"delivered": 3}
        with pytest.raises(EngineError, match="c' is finished"):
            await do(world, "priority", name="c", priority="high")


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["pause", "cancel"])
async def test_what_is_done_to_one_campaign_leaves_the_others_their_ports(
    autojump_clock: object, make_world: Callable[..., Any], verb: str
) -> None:
    settings = {**ASSUME, "task-size": "1"}  # of one recipient it is proved that it never started
    async with make_world(settings=settings, sim1={"ports": 4, "sms_seconds": 6}) as world:
        one = store_campaign(world, "one", people(1, 200), receipts=False)
        two = store_campaign(world, "two", people(2, 200), receipts=False)
        rates: list[int] = []

        async def steer() -> None:
            await trio.sleep(90)
            await do(world, verb, name="one")
            await trio.sleep(20)
            before = sent_by(world, 110)
            await trio.sleep(240)
            after = sent_by(world, 350)
            assert after["1"] == before["1"]
            rates.append(after["2"] - before["2"])
            if verb == "pause":
                await do(world, "continue", name="one")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(steer)
            await run_for(world, 4000, one, two)
        # 4 ports of 6 s in 240 s: what is paused on the device takes nobody's place
        assert rates[0] >= 140
        assert world.on_air()[people(2, 1)[0]] == 1
        assert world.states("two") == {"sent": 200}
        assert world.states("one") == (
            {"sent": 200}
            if verb == "pause"
            else {"cancelled": 200 - sent_by(world, 4000)["1"], "sent": sent_by(world, 4000)["1"]}
        )
        world.check()


async def test_a_list_that_is_imported_meanwhile_does_not_hold_the_others_up(
    autojump_clock: object, make_world: Callable[..., Any]
) -> None:
    async with make_world(settings=ASSUME, sim1={"ports": 4, "sms_seconds": 1}) as world:
        one = store_campaign(world, "one", people(1, 400), receipts=False)
        claims: list[int] = []

        async def import_beside() -> None:
            await trio.sleep(20)
            run = world.runs[-1]
            before = run.commits
            await hand_over(world, "two", people(2, 6000), priority="low", receipts=False)
            # every chunk is a commit of its own, between those of who sends
            claims.append(run.commits - before)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(import_beside)
            await run_for(world, 60, one)
        assert claims[0] >= 6
        assert sent_by(world, 60)["1"] >= 180
