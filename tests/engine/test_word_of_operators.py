"""A verb stands from its commit on, even before the engine that runs has carried it out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio

from campaign.engine.appointments import keep_appointments
from campaign.engine.campaign import Campaign
from campaign.engine.lifecycle import Ended, follow
from campaign.engine.recover import recover
from campaign.engine.runtime import Run
from campaign.engine.standing import go_on, keep_waiting, see_lifted
from campaign.engine.verbs import perform
from campaign.errors import UsageError
from campaign.planner.states import CampaignState
from campaign.store.campaigns import set_campaign_state
from campaign.store.door import transaction
from tests.engine.overtaking import store_campaign
from tests.engine.test_standing import do, hand_over, serving

Numbers = Callable[[int], list[str]]
AFTER = {"pause": "paused", "cancel": "cancelled"}
verbs = pytest.mark.parametrize("verb", AFTER)


async def known_as(world: Any, numbers: list[str], state: CampaignState) -> tuple[Run, Campaign]:
    """A run that has found a campaign in this state."""
    campaign_id = store_campaign(world, "c", numbers)
    with transaction(world.conn):
        set_campaign_state(world.conn, 1, campaign_id, state, "so it is")
    run = world.run()
    await recover(run)
    run.targets.add(campaign_id)
    return run, run.campaigns[campaign_id]


def commit(world: Any, verb: str) -> None:
    """What the ledger knows, and the engine not yet."""
    with transaction(world.conn):
        perform(world.conn, 2, verb, {"name": "c"})


def stored(world: Any) -> str:
    ((state,),) = world.sql("SELECT state FROM campaigns")
    return str(state)


@verbs
async def test_an_alarm_that_is_over_does_not_undo_it(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, verb: str
) -> None:
    async with make_world() as world:
        run, campaign = await known_as(world, numbers(2), CampaignState.WAITING)
        run.serving = True
        commit(world, verb)
        await go_on(run, campaign)
        assert stored(world) == AFTER[verb]
        assert campaign.state is not CampaignState.RUNNING
        assert not any("goes on" in line for line in world.notices)


@verbs
async def test_nor_does_an_alarm_that_begins(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, verb: str
) -> None:
    async with make_world() as world:
        run, campaign = await known_as(world, numbers(2), CampaignState.RUNNING)
        run.serving = True
        commit(world, verb)
        await keep_waiting(run, campaign, "gw: its password is refused")
        assert stored(world) == AFTER[verb]
        assert campaign.state is CampaignState.RUNNING  # until the verb is carried out
        assert world.sql("SELECT waiting_for FROM campaigns") == [(None,)]


@verbs
async def test_nor_does_its_start(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, verb: str
) -> None:
    async with make_world() as world:
        run, campaign = await known_as(world, numbers(2), CampaignState.SCHEDULED)
        campaign.start = run.env.wall()
        commit(world, verb)
        await keep_appointments(run, campaign)
        assert stored(world) == AFTER[verb]
        assert campaign.state is CampaignState.SCHEDULED  # until the verb is carried out
        assert world.notices == []


@verbs
async def test_nor_do_alarms_that_somebody_else_lifts(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers, verb: str
) -> None:
    async with make_world() as world:
        run, campaign = await known_as(world, numbers(2), CampaignState.WAITING)
        commit(world, verb)
        await see_lifted(run)
        assert campaign.state == AFTER[verb]


async def test_a_run_that_finds_no_gateway_leaves_a_pause_and_does_not_end(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world() as world:
        run, _ = await known_as(world, numbers(2), CampaignState.RUNNING)
        commit(world, "pause")
        ended = Ended()
        with trio.move_on_after(60) as scope:
            await follow(run, ended)
        assert stored(world) == "paused"
        assert scope.cancelled_caught
        assert ended.waiting == {}


async def test_a_cancelled_campaign_stays_so_though_its_gateway_is_out_of_reach(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1, "sms_seconds": 30}) as world, serving(world) as run:
        await hand_over(world, "c", numbers(9))
        await trio.sleep(5)
        connect = run.connect

        def no_password(*_args: object) -> Any:
            message = "its password is not there"
            raise UsageError(message)

        run.connect = no_password
        await do(world, "gateway-set", name="sim1", columns={"secret": "env:GONE"})
        await trio.sleep(5)
        assert stored(world) == "waiting"
        await do(world, "cancel", name="c")
        await trio.sleep(60)
        assert stored(world) == "cancelled"
        run.connect = connect
        await do(world, "gateway-set", name="sim1", columns={"secret": "root"})
        await trio.sleep(3600)
        assert stored(world) == "cancelled"
        assert run.campaigns == {}
        assert len(world.attempts) <= 3
        world.check()


async def test_the_state_it_brought_about_is_told_in_its_own_words(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Numbers
) -> None:
    async with make_world(sim1={"ports": 1}) as world, serving(world):
        await hand_over(world, "c", numbers(3), start="+1h")
        for verb in ("pause", "continue", "cancel"):
            await do(world, verb, name="c")
        told = [line for line in world.notices if line.endswith(", by operator")]
        assert told == [
            "campaign c is paused, by operator",
            "campaign c is scheduled, by operator",
            "campaign c is cancelled, by operator",
        ]
