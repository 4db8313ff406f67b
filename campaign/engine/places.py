"""Places: the ports of all gateways as a campaign sees them, looked at anew only where needed."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

from campaign.engine.campaign import Campaign
from campaign.engine.device import Gateway, Panorama, Port, Sight
from campaign.engine.limits import limits_of, rooms, sim_of
from campaign.engine.runtime import Run
from campaign.planner.reach import Ground, Place

_LONGEST = 1.0
"""Seconds that a look holds at most, for whatever nobody told of."""
_VIEWS = 256
"""So many are remembered; campaigns with caps have one each, and come and go."""

V = TypeVar("V")


async def ground_of(run: Run, campaign: Campaign) -> Ground:
    """The ports that the campaign may use; campaigns that may use the same ones share the answer.

    Each gateway is looked at again after every ring, turn and change of its own; the others' looks
    hold meanwhile: with 50 gateways of 32 ports, all of them anew cost ten milliseconds a turn.
    """
    gateways = run.gateways_of(campaign)
    limits = [limits_of(run, gateway, campaign) for gateway in gateways]
    capped = any(limit.caps or limit.balance_floor is not None for limit in limits)
    view = (campaign.places, campaign.id if capped else None)
    sights = tuple([await _sight(run, campaign, gateway, view) for gateway in gateways])
    seen = run.seen.get(view)
    if seen is None or seen.sights != sights:
        ground = Ground(place for places in sights for place in places)
        seen = Panorama(sights, ground)
        _keep(run.seen, view, seen)
    return seen.ground


async def _sight(
    run: Run, campaign: Campaign, gateway: Gateway, view: Hashable
) -> tuple[Place, ...]:
    now, mark = run.env.monotonic(), (gateway.bell.mark(), gateway.changes)
    known = gateway.sights.get(view)
    if known is not None and known.mark == mark and now < known.until:
        return known.places
    places = await _places_of(run, campaign, gateway)
    if known is not None and known.places == places:
        places = known.places  # the same object compares in no time
    rests = (port.rests_until or 0.0 for port in gateway.ports.values())
    until = min([now + _LONGEST, *(end for end in rests if end > now)])
    _keep(gateway.sights, view, Sight(places, mark, until))
    return places


async def _places_of(run: Run, campaign: Campaign, gateway: Gateway) -> tuple[Place, ...]:
    """Every port of the gateway that the campaign may use, whether it could send now or not."""
    now = run.env.monotonic()
    sends = gateway.ready and not gateway.row.stopped and not gateway.held
    room = await rooms(run, gateway, campaign, limits_of(run, gateway, campaign))
    used_up = {number for number, left in room.items() if left.shut is not None}
    return tuple(
        Place(
            gateway.id,
            gateway.name,
            port.number,
            port.operator,
            sim_of(gateway, port),
            sends and port.number not in used_up and _could_send(port, now),
        )
        for port in gateway.ports.values()
        if campaign.takes_port(port.number)
    )


def _could_send(port: Port, now: float) -> bool:
    resting = port.rests_until is not None and now < port.rests_until
    return port.usable and not resting and port.switch is None


def _keep(views: dict[Hashable, V], view: Hashable, seen: V) -> None:
    """Remember it; of too many, those of campaigns that come no more are the oldest."""
    views.pop(view, None)
    views[view] = seen
    if len(views) > _VIEWS:
        del views[next(iter(views))]
