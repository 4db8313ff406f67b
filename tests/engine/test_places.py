"""How every gateway's ports are seen by one gateway's turn, and when they are looked at anew."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import trio
from trio.testing import MockClock

from campaign.engine.campaign import Campaign
from campaign.engine.device import Gateway, Port
from campaign.engine.places import ground_of
from campaign.engine.runtime import Run
from campaign.env import Env
from campaign.planner.options import CampaignOptions
from campaign.planner.reach import Ground
from campaign.planner.routes import ANYWHERE
from campaign.planner.settings import Settings
from campaign.store.gateways import GatewayRow

Nothing = cast(Any, None)


def gateway(nth: int) -> Gateway:
    row = GatewayRow(
        nth, f"gw{nth}", "http://127.0.0.1:1", "u", "stored", None, "digest", None, "t", None,
        None, None, None,
    )  # fmt: skip
    made = Gateway(row, Settings(), Nothing, "", ready=True)
    made.ports = {number: Port(number, usable=True) for number in (1, 2)}
    return made


def a_run(*gateways: Gateway) -> Run:
    env = Env(wall=lambda: datetime(2026, 3, 2, tzinfo=UTC), rng=random.Random(1))
    run = Run(env, Nothing, Nothing, Path("optouts.db"), Nothing, Nothing)
    run.gateways = {one.id: one for one in gateways}
    return run


def campaign() -> Campaign:
    return Campaign(1, "c", CampaignOptions(), "text", {}, None)


async def open_places(run: Run) -> set[str]:
    return set((await ground_of(run, campaign())).of_route(ANYWHERE))


async def test_while_nothing_changes_every_turn_of_every_campaign_shares_one_ground(
    mock_clock: MockClock,
) -> None:
    here, there = gateway(1), gateway(2)
    run = a_run(here, there)
    seen: list[Ground] = []
    for _ in range(3):
        here.changes += 1
        seen.append(await ground_of(run, campaign()))
        mock_clock.jump(5.0)
    assert seen[0] is seen[1] is seen[2]


async def test_what_a_ring_tells_of_another_gateway_is_seen_at_once(mock_clock: MockClock) -> None:
    here, there = gateway(1), gateway(2)
    run = a_run(here, there)
    both = await open_places(run)
    there.ready = False
    run.ring([there])
    assert await open_places(run) == both - {"2:1", "2:2"}


async def test_what_others_are_told_of_a_gateway_is_what_they_see(mock_clock: MockClock) -> None:
    here, there = gateway(1), gateway(2)
    run = a_run(here, there)
    both = await open_places(run)
    mark = here.bell.mark()
    there.ready = False
    run.stands_otherwise(there)
    assert here.bell.mark() != mark
    assert await open_places(run) == both - {"2:1", "2:2"}


async def test_what_changed_without_a_ring_is_seen_by_its_own_turn_and_by_all_within_a_second(
    mock_clock: MockClock,
) -> None:
    here, there = gateway(1), gateway(2)
    run = a_run(here, there)
    both = await open_places(run)
    here.ports[1].usable = there.ports[1].usable = False
    here.changes += 1
    assert await open_places(run) == both - {"1:1"}
    mock_clock.jump(1.0)
    assert await open_places(run) == both - {"1:1", "2:1"}


async def test_a_rest_that_ends_opens_the_port_at_that_moment(mock_clock: MockClock) -> None:
    there = gateway(2)
    run = a_run(there)
    both = await open_places(run)
    there.ports[1].rest(trio.current_time(), 0.5)
    run.ring([there])
    assert await open_places(run) == both - {"2:1"}
    mock_clock.jump(0.5)
    assert await open_places(run) == both
