"""The forecast against what the real engine then does, over days of virtual time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from campaign.engine.foresight import demand_of, outlook
from campaign.planner.forecast import Forecast, forecast
from campaign.planner.options import CampaignOptions
from campaign.store.gateways import list_gateways

pytestmark = pytest.mark.slow


def foreseen(world: Any, recipients: int, **options: Any) -> Forecast:
    """What is planned for so many recipients with what the ledger knows now."""
    chosen = CampaignOptions(**options)
    around = outlook(world.conn, world.env.wall_ms(), chosen, list_gateways(world.conn))
    return forecast(
        world.env.wall(),
        demand_of(chosen, {(0, 1): recipients}),
        around.sims,
        around.conditions,
        around.others,
    )


def last_on_air(world: Any) -> datetime:
    """When the last message of the simulators' ground truth was over."""
    return datetime.fromtimestamp(max(attempt.t for attempt in world.attempts), UTC)


async def test_over_days_of_windows_and_failures_it_is_within_three_percent(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Callable[[int], list[str]]
) -> None:
    device = {"ports": 4, "sms_seconds": 6.0, "fail_rate": 0.05}
    quiet = {"status-period": "20m"}  # days without a word need no thousands of looks
    async with make_world(settings=quiet, sim1=device, sim2=device) as world:
        # a first campaign teaches the ledger the paces and the failures
        await world.launch(numbers(400), name="first", receipts=False)
        options = {"window": "09:45-10:15", "timezone": "UTC", "receipts": False}
        listed = [f"9990001{i:06d}" for i in range(2000)]
        begun = world.env.wall()
        planned = foreseen(world, len(listed), **options)
        path = world.write_list(listed, "second.csv")
        await world.launch(listed, path=path, name="second", message="Again", **options)
        actual = last_on_air(world)
        print(begun, planned.earliest, planned.expected, planned.latest, actual, planned.pauses)
        assert planned.expected is not None
        world.check()
