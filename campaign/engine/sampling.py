"""Sampling: the device's own counters as a time series, beside what its reports say."""

from __future__ import annotations

import trio

from campaign.engine.device import Gateway
from campaign.engine.runtime import Run
from campaign.errors import GatewayError, RemoteProtocolError
from campaign.store.samples import keep_samples

ALL_TIME = 3
"""The statistics' type that only ever grows (spec §9)."""


_LAST_SECONDS = 5.0


async def sample_at_the_end(run: Run) -> None:
    """Once more when a run has done its work, so that its campaigns can be held against it. A
    device that does not answer in a few seconds is left be."""
    with trio.move_on_after(_LAST_SECONDS):
        async with trio.open_nursery() as nursery:
            for gateway in run.gateways.values():
                if gateway.ready and not gateway.is_old and gateway.sampled is not None:
                    gateway.sampled = None
                    nursery.start_soon(sample_if_due, run, gateway)


async def sample_if_due(run: Run, gateway: Gateway) -> None:
    """Store the device's SMS counters once every `sample-period`; one that has none is left be."""
    now = run.env.monotonic()
    period = run.settings_now(gateway).sample_period
    if gateway.sampled is not None and now - gateway.sampled < period:
        return
    gateway.sampled = now
    try:
        reading = await gateway.device.sms_stats()
    except (GatewayError, RemoteProtocolError):
        return
    await run.write(
        keep_samples, run.now_ms(), gateway.id, gateway.boot_id, ALL_TIME, reading.stats.stats,
        "sms",
    )  # fmt: skip
