"""Reach: which ports the recipients of each lane may go to now, by its route and by its SIM.

A lane of a route goes to the ports of its targets. A lane of a SIM goes to that SIM while it can
send; where it cannot, the lane waits for it a bounded time and then goes where its route allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from campaign.planner.lanes import Lane
from campaign.planner.places import place_of
from campaign.planner.routes import ANYWHERE, may_serve
from campaign.planner.routing import Shut


class Place(NamedTuple):
    """A port as routes see it. `open` says that it could send for the campaign now, were it not
    busy; `sim` is the ledger's name of the SIM in use."""

    gateway_id: int
    gateway: str
    port: int
    operator: str
    sim: str
    open: bool

    @property
    def name(self) -> str:
        return place_of(self.gateway_id, self.port)


class Ground:
    """The ports of a moment; what was asked once of a route is not worked out again, so that many
    campaigns and lanes on many ports cost no more than their number."""

    def __init__(self, places: Iterable[Place]) -> None:
        self._open = [(place, place.name) for place in places if place.open]
        self._routes: dict[str, frozenset[str]] = {}
        self._holders: dict[str, frozenset[str]] = {}
        for place, name in self._open:
            if place.sim:
                held = self._holders.get(place.sim, frozenset())
                self._holders[place.sim] = held | {name}

    def of_route(self, route: str) -> frozenset[str]:
        """The open places that may serve a route's recipients."""
        known = self._routes.get(route)
        if known is None:
            known = self._routes[route] = frozenset(
                name
                for place, name in self._open
                if may_serve(route, place.gateway, place.port, place.operator)
            )
        return known

    def of_sim(self, sim: str) -> frozenset[str]:
        """The open places that hold a SIM."""
        return self._holders.get(sim, frozenset())


@dataclass(frozen=True)
class Reach:
    """The open places for each lane, why others wait, and since when each SIM is waited for."""

    places: Mapping[int, frozenset[str]] = field(default_factory=dict)
    waits: Mapping[int, Shut] = field(default_factory=dict)
    missed: Mapping[int, float] = field(default_factory=dict)

    def lanes_at(self, place: str) -> frozenset[int]:
        """The lanes that may be served there."""
        return frozenset(lane for lane, places in self.places.items() if place in places)

    @property
    def shut(self) -> Shut | None:
        """Why recipients of some lanes wait although others may go, in words; None: nobody does."""
        if not self.waits:
            return None
        words = dict.fromkeys(shut.why for shut in self.waits.values())
        times = [shut.until for shut in self.waits.values() if shut.until is not None]
        return Shut(", ".join(words), min(times, default=None))


def reach(
    lanes: Iterable[Lane],
    ground: Ground,
    now: float,
    *,
    sticky_wait: float,
    missed: Mapping[int, float],
) -> Reach:
    """Where each of `lanes` may go at `now` (monotonic); `missed` is the last answer's."""
    found: dict[int, frozenset[str]] = {}
    waits: dict[int, Shut] = {}
    since: dict[int, float] = {}
    for lane in lanes:
        allowed = ground.of_route(lane.route)
        own = allowed & ground.of_sim(lane.sim) if lane.sim else allowed
        if not allowed:
            waits[lane.number] = Shut(f"waits for {_words(lane.route)}")
            continue
        if not own:
            since[lane.number] = missed.get(lane.number, now)
            over = since[lane.number] + sticky_wait
            if now < over:
                waits[lane.number] = Shut("waits for the SIM that wrote to them before", over)
                continue
        found[lane.number] = own or allowed
    return Reach(found, waits, since)


def _words(route: str) -> str:
    """What a route asks for, in words."""
    if route == ANYWHERE:
        return "a port that can send"
    return f"a port of {' or '.join(route.split('+'))}"
