"""Tokens: every message pays the rate and the ports it goes through, before it is claimed."""

from __future__ import annotations

from collections.abc import Callable

from campaign.engine.runtime import Campaign, Gateway, Port, Run
from campaign.planner.pacing import Bucket
from campaign.planner.routing import Turn
from campaign.planner.settings import Settings


def take_tokens(
    run: Run,
    gateway: Gateway,
    campaign: Campaign,
    turn: Turn,
    settings: Settings,
    now: float,
) -> Callable[[], None]:
    """Take the rate's and the ports' tokens before the claim (two gateways share one rate);
    returns how to give them back."""
    before: list[tuple[Campaign | Port, Bucket]] = [(campaign, campaign.bucket)]
    rate, per_port = campaign.options.parsed_rate, campaign.options.parsed_per_port
    interval = campaign.options.parsed_interval
    if rate is not None:
        campaign.bucket = campaign.bucket.take(now, rate.gap)
    if per_port is not None or interval is not None or gateway.is_old:
        for grant in turn.grants:
            port = gateway.ports[grant.port]
            before.append((port, port.bucket))
            gap = interval.pick(run.env.rng.random()) if interval is not None else 0.0
            gap = max(gap, per_port.gap if per_port is not None else 0.0)
            gap = max(gap, settings.legacy_gap if gateway.is_old else 0.0)
            port.bucket = port.bucket.take(now, gap, strict=True)

    def give_back() -> None:
        for owner, bucket in before:
            owner.bucket = bucket

    return give_back
