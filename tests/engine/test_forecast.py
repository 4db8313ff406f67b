"""The forecast against what the real engine then does, over days of virtual time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from campaign.engine.foresight import demand_of, outlook
from campaign.planner.forecast import Forecast, forecast
from campaign.planner.options import CampaignOptions
from campaign.store.gateways import list_gateways

pytestmark = pytest.mark.slow


def foreseen(world: Any, recipients: int, failures: float, **options: Any) -> Forecast:
    """What is planned for so many recipients with what the ledger knows now."""
    chosen = CampaignOptions(**options)
    around = outlook(world.conn, world.env.wall_ms(), chosen, list_gateways(world.conn))
    demand = demand_of(chosen, {(0, 1): recipients})
    conditions = replace(around.conditions, failures=failures)
    return forecast(world.env.wall(), demand, around.sims, conditions, around.others)


def sending_seconds(times: list[float]) -> float:
    """How long was truly sent: without the pauses, which no forecast can get wrong by much."""
    return sum(b - a for a, b in pairwise(sorted(times)) if b - a < 600)


async def test_over_days_of_windows_quotas_and_failures_it_is_within_three_percent(
    autojump_clock: object, make_world: Callable[..., Any], numbers: Callable[[int], list[str]]
) -> None:
    device = {"ports": 4, "sms_seconds": 6.0, "fail_rate": 0.05}
    quiet = {"status-period": "6h", "push-silence": "18h", "sample-period": "24h", "sim-day": "120"}
    async with make_world(settings=quiet, sim1=device, sim2={**device, "seed": 2}) as world:
        world.inbox_every = 3600.0  # pushes wake it: days of waiting need no thousands of looks
        await world.launch(numbers(64), name="first", receipts=False)  # the ports are known then
        world.attempts.clear()
        listed = [f"9990001{i:06d}" for i in range(2000)]
        options = {"window": "08:00-21:00", "timezone": "UTC", "receipts": False}
        begun = world.env.wall()
        planned = foreseen(world, len(listed), 0.05, **options)
        path = world.write_list(listed, "second.csv")
        await world.launch(listed, path=path, name="second", message="Again", **options)
        times = [attempt.t for attempt in world.attempts]
        actual = datetime.fromtimestamp(max(times), UTC)
        assert planned.expected is not None
        off = abs((planned.expected - actual).total_seconds())
        assert (actual - begun).days >= 1  # three calendar days
        assert off <= 0.03 * (actual - begun).total_seconds()
        assert off <= 0.03 * sending_seconds(times)  # and of the time in which was sent, too
        assert planned.pauses[-1].ends.hour == 8
        (kept,) = world.sql("SELECT forecast FROM campaigns WHERE name = 'second'")
        assert json.loads(kept[0])["recipients"] == 2000
