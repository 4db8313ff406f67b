"""Tokens: every message pays the campaign, the gateway and the port it goes through, before it is
claimed.

How long a message is shows only once it is claimed. Until then it pays as the longest of its
campaign, and gets the difference back: meanwhile nobody else can have sent for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from campaign.engine.campaign import Campaign
from campaign.engine.device import Gateway, Port
from campaign.engine.runtime import Run
from campaign.planner.limits import Limits, Pace
from campaign.planner.routing import Shut, Turn
from campaign.planner.settings import Settings
from campaign.store.claims import ClaimedTask

Settle = Callable[[Sequence[ClaimedTask]], None]
"""Told what was truly claimed, it gives back what was taken beyond that."""


def held_by_pace(gateway: Gateway, campaign: Campaign, limits: Limits, now: float) -> Shut | None:
    """Whether nothing at all may be claimed yet, for the rate of the campaign or the gateway."""
    at = max(ready_at(campaign, limits.campaign), ready_at(gateway, limits.gateway))
    return Shut("pacing", at) if at > now else None


def ready_at(owner: Campaign | Gateway, pace: Pace) -> float:
    """When its own pace lets the next message through."""
    return max(
        owner.bucket.next_at if pace.gap else 0.0,
        owner.segment_bucket.next_at if pace.segment_gap else 0.0,
    )


def port_ready_at(port: Port) -> float:
    """When a port's own pace, whoever set it, lets the next message through."""
    return max(port.bucket.next_at, port.segment_bucket.next_at)


@dataclass
class _Taken:
    """What was taken of one owner's buckets for one message of `parts` segments."""

    owner: Campaign | Gateway | Port
    pace: Pace
    parts: int

    def settle(self, claimed: Sequence[ClaimedTask]) -> None:
        parts = sum(task.parts for task in claimed)
        owner, beyond = self.owner, (self.parts - parts) * self.pace.segment_gap
        if self.pace.gap and not claimed:
            owner.bucket = owner.bucket.given_back(self.pace.gap)
        if self.pace.segment_gap and beyond > 0:
            owner.segment_bucket = owner.segment_bucket.given_back(beyond)


def take_tokens(
    run: Run,
    gateway: Gateway,
    campaign: Campaign,
    turn: Turn,
    limits: Limits,
    settings: Settings,
    now: float,
) -> Settle:
    """Take the tokens of a turn before its claim (two gateways share one campaign's rate)."""
    parts = campaign.most_parts
    over_all = [
        _take(campaign, limits.campaign, parts, now, strict=False),
        _take(gateway, limits.gateway, parts, now, strict=False),
    ]
    by_port: dict[int, _Taken] = {}
    if limits.paces_ports or gateway.is_old:
        for grant in turn.grants:
            port = gateway.ports[grant.port]
            gap = limits.port_gap(run.env.rng.random())
            gap = max(gap, settings.legacy_gap if gateway.is_old else 0.0)
            pace = Pace(gap, limits.port.segment_gap)
            by_port[grant.port] = _take(port, pace, parts, now, strict=True)
            port.paced_by = campaign.id

    def settle(claimed: Sequence[ClaimedTask]) -> None:
        for taken in over_all:
            taken.settle(claimed)
        for number, taken in by_port.items():
            taken.settle([task for task in claimed if task.port == number])

    return settle


def _take(
    owner: Campaign | Gateway | Port, pace: Pace, parts: int, now: float, *, strict: bool
) -> _Taken:
    if pace.gap:
        owner.bucket = owner.bucket.take(now, pace.gap, strict=strict)
    if pace.segment_gap:
        owner.segment_bucket = owner.segment_bucket.take(
            now, pace.segment_gap * parts, strict=strict, spare=pace.segment_gap
        )
    return _Taken(owner, pace, parts)
