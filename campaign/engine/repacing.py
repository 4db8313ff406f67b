"""Repacing: a pace goes on where the ledger's last messages left it, and follows its changes.

A crash or a restart gives no burst: the first message of a run keeps its distance to the last one
of the run before. Nor does it leave ports idle: as much as that run had given one at once may be
given to it again, for it had measured its pace.
"""

from __future__ import annotations

from collections.abc import Collection

from campaign.engine.campaign import Campaign
from campaign.engine.device import Gateway
from campaign.engine.limits import limits_of
from campaign.engine.runtime import Run
from campaign.planner.limits import Limits, Pace, limits_between
from campaign.planner.pacing import Bucket, PortWindow
from campaign.store.campaigns import list_campaigns
from campaign.store.earlier import held_by_ports
from campaign.store.intents import LastIntent, LastIntents, last_intents


async def recall_campaigns(run: Run, campaigns: Collection[Campaign]) -> None:
    """Let the rate of each of these campaigns go on from its last message."""
    paces = [
        Pace.of(campaign.options.rate, campaign.options.segment_rate) for campaign in campaigns
    ]
    last = await _last_intents(run, campaigns, paces)
    for campaign, pace in zip(campaigns, paces, strict=True):
        if campaign.id in last.campaigns:
            intent = last.campaigns[campaign.id]
            campaign.bucket, campaign.segment_bucket = _after(run, intent, pace)


async def recall_gateway(run: Run, gateway: Gateway) -> None:
    """Let the paces of a gateway and of its ports go on from their last messages.

    A port's are taken over when the device tells that there is such a port, and with them how much
    it had been given at once.
    """
    held = run.left_behind.pop(gateway.id, None)
    gateway.held_before = await run.store.read(held_by_ports, gateway.id) if held is None else held
    limits = {campaign.id: limits_of(run, gateway, campaign) for campaign in run.campaigns.values()}
    own = limits_between(None, gateway.settings)
    paces = [pace for each in (own, *limits.values()) for pace in (each.gateway, port_pace(each))]
    last = await _last_intents(run, run.campaigns.values(), paces)
    if gateway.id in last.gateways:
        intent = last.gateways[gateway.id]
        pace = limits.get(intent.campaign_id, own).gateway
        gateway.bucket, gateway.segment_bucket = _after(run, intent, pace)
    for (gateway_id, number), intent in last.ports.items():
        if gateway_id == gateway.id:
            pace = port_pace(limits.get(intent.campaign_id, own))
            gateway.recalled[number] = _after(run, intent, pace)


def port_pace(limits: Limits) -> Pace:
    """The slowest pace of a port: the long end of its intervals."""
    return Pace(limits.port_gap(1.0), limits.port.segment_gap)


async def _last_intents(
    run: Run, campaigns: Collection[Campaign], paces: list[Pace]
) -> LastIntents:
    """The last messages, as far back as any pace of these campaigns can still be told by them."""
    parts = max((campaign.most_parts for campaign in campaigns), default=1)
    longest = max((max(pace.gap, pace.segment_gap * parts) for pace in paces), default=0.0)
    if not longest:
        return LastIntents()
    return await run.store.read(last_intents, run.now_ms() - round(longest * 1000))


def _after(run: Run, last: LastIntent, pace: Pace) -> tuple[Bucket, Bucket]:
    """The buckets of messages and segments after this message, however clocks were set since."""
    now = run.env.monotonic()
    at = min(now, run.monotonic_at(last.at_ms))
    return Bucket(at + pace.gap * last.size), Bucket(at + pace.segment_gap * last.parts)


def take_over_recalled(gateway: Gateway) -> None:
    """Give ports that are known by now the pace that was recalled for them."""
    for number in gateway.recalled.keys() & gateway.ports.keys():
        port = gateway.ports[number]
        port.bucket, port.segment_bucket = gateway.recalled.pop(number)
    for number in gateway.held_before.keys() & gateway.ports.keys():
        held = gateway.held_before.pop(number)
        gateway.ports[number].window = PortWindow.of_earlier_run(held)


async def read_changes(run: Run) -> None:
    """Take over what was changed of running campaigns, and let their paces follow at once."""
    rows = await run.store.read(list_campaigns)
    # from here on without a pause: whoever looked meanwhile kept what the old options allowed
    run.settings_cache.clear()
    run.limits_cache.clear()
    for row in rows:
        campaign = run.campaigns.get(row.id)
        if campaign is not None:
            campaign.options = row.options
            campaign.needs.clear()
    for campaign in run.campaigns.values():
        _relax(run, campaign, Pace.of(campaign.options.rate, campaign.options.segment_rate))
    for gateway in run.gateways.values():
        own = limits_between(None, gateway.settings)
        slowest = own.gateway
        for campaign in run.campaigns.values():
            slowest = slowest.slowest(limits_of(run, gateway, campaign).gateway)
        _relax(run, gateway, slowest)
        for port in gateway.ports.values():
            by = run.campaigns.get(port.paced_by)
            limits = own if by is None else limits_of(run, gateway, by)
            gap = max(port_pace(limits).gap, gateway.settings.legacy_gap if gateway.is_old else 0.0)
            parts = 1 if by is None else by.most_parts
            now = run.env.monotonic()
            port.bucket = port.bucket.relaxed(now, gap)
            port.segment_bucket = port.segment_bucket.relaxed(now, limits.port.segment_gap * parts)


def _relax(run: Run, owner: Campaign | Gateway, pace: Pace) -> None:
    """A faster rate does not wait for the slower one's next turn."""
    now = run.env.monotonic()
    parts = max((campaign.most_parts for campaign in run.campaigns.values()), default=1)
    owner.bucket = owner.bucket.relaxed(now, pace.gap)
    owner.segment_bucket = owner.segment_bucket.relaxed(now, pace.segment_gap * parts)
