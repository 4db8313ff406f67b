"""Limits: what holds for a campaign on a gateway, and what it leaves each port room for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from campaign.engine.campaign import Campaign
from campaign.engine.device import Gateway, Port
from campaign.engine.runtime import Run
from campaign.planner.limits import Limits, limits_between
from campaign.planner.quotas import Usage, parse_balance, room_for, sim_key
from campaign.planner.routing import Shut
from campaign.planner.split import Grant
from campaign.store.usage import SimLimits, usage_of


@dataclass(frozen=True)
class PortRoom:
    """What the limits of the SIM in a port leave: shut, or at most so many messages (None: any)."""

    shut: Shut | None = None
    messages: int | None = None
    segments: int | None = None


_ALL = PortRoom()


def limits_of(run: Run, gateway: Gateway, campaign: Campaign) -> Limits:
    """What holds where a campaign sends through a gateway; read once until something changes."""
    key = (gateway.id, campaign.id)
    if key not in run.limits_cache:
        run.limits_cache[key] = limits_between(campaign.options, gateway.settings)
    return run.limits_cache[key]


def sim_of(gateway: Gateway, port: Port) -> str:
    """How the SIM in a port is named in the ledger."""
    return sim_key(gateway.id, port.number, port.slot, port.iccid)


def sims_of(gateway: Gateway, limits: Limits, grants: Iterable[Grant]) -> dict[int, SimLimits]:
    """Whom a claim through these ports is charged to."""
    return {
        grant.port: SimLimits(
            sim_of(gateway, gateway.ports[grant.port]), limits.caps, limits.zone
        )
        for grant in grants
    }  # fmt: skip


async def rooms(
    run: Run, gateway: Gateway, campaign: Campaign, limits: Limits
) -> dict[int, PortRoom]:
    """What each port has room for, as far as limits of its SIM say so; ports not named: all."""
    found: dict[int, PortRoom] = {}
    campaign.used_up.pop(gateway.id, None)
    if not limits.caps and limits.balance_floor is None:
        return found
    ports = [port for port in gateway.ports.values() if campaign.takes_port(port.number)]
    usages = await _usages(run, gateway, limits, ports) if limits.caps else {}
    for port in ports:
        found[port.number] = _too_poor(port, limits) or _ALL
        usage = usages.get(sim_of(gateway, port))
        if usage is not None and found[port.number].shut is None:
            found[port.number] = _room(run, gateway, campaign, limits, port, usage)
    shut = [number for number, room in found.items() if room.shut is not None]
    campaign.used_up[gateway.id] = frozenset(shut)
    return found


async def _usages(
    run: Run, gateway: Gateway, limits: Limits, ports: Iterable[Port]
) -> dict[str, Usage]:
    """Read once a turn: a claim ends it, and counts anew in its own transaction."""
    missing = {sim_of(gateway, port) for port in ports} - gateway.usages.keys()
    if missing:
        gateway.usages |= await run.store.read(usage_of, missing, run.now_ms(), limits.zone)
    return gateway.usages


def _too_poor(port: Port, limits: Limits) -> PortRoom | None:
    balance = parse_balance(port.balance)
    floor = limits.balance_floor
    if floor is None or balance is None or balance >= floor:
        return None
    return PortRoom(Shut(f"SIM has a balance of {balance:g}, below {floor:g}"))


def _room(
    run: Run, gateway: Gateway, campaign: Campaign, limits: Limits, port: Port, usage: Usage
) -> PortRoom:
    need = campaign.needs.get(sim_of(gateway, port), 1)
    room = room_for(limits.caps, usage, run.now(), limits.zone, need)
    shut = None if room.until is None else Shut(room.why, monotonic_of(run, room.until))
    return PortRoom(shut, room.messages, room.segments)


def monotonic_of(run: Run, at: datetime) -> float:
    """When a civil moment comes on the monotonic clock."""
    return run.env.monotonic() + (at - run.now()).total_seconds()


def remember_too_large(
    gateway: Gateway, campaign: Campaign, ports: Mapping[int, PortRoom], grants: Iterable[Grant]
) -> None:
    """Nothing could be claimed: where less than the longest message has room, whoever is in front
    needs more than that. Asking again before there is more would be in vain."""
    for grant in grants:
        left = ports.get(grant.port, _ALL).segments
        if left is not None and left < campaign.most_parts:
            campaign.needs[sim_of(gateway, gateway.ports[grant.port])] = left + 1
