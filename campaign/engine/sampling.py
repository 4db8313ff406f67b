"""Sampling: the device's own counters as a time series, beside what its reports say."""

from __future__ import annotations

from campaign.engine.runtime import Gateway, Run
from campaign.errors import GatewayError, RemoteProtocolError
from campaign.store.samples import keep_samples

ALL_TIME = 3
"""The statistics' type that only ever grows (spec §9)."""


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
