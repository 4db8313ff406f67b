"""Reaching: which waiting recipients each port of a gateway may serve now, and which port first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from campaign.engine.campaign import Campaign
from campaign.engine.device import Gateway
from campaign.engine.limits import sim_of
from campaign.engine.places import ground_of
from campaign.engine.runtime import Run
from campaign.engine.waits import ROUTES
from campaign.planner.lanes import Lane
from campaign.planner.reach import Reach, reach
from campaign.planner.routing import Shut, Waiting
from campaign.planner.spread import Spread, last_served, ranks
from campaign.store.claims import ClaimedTask
from campaign.store.spread import parts_today


@dataclass(frozen=True)
class Whereabouts:
    """What one turn of one gateway may serve. `reach` is None where every port serves all."""

    lanes: Sequence[int]
    reach: Reach | None = None
    ranked: Mapping[int, int] = field(default_factory=dict)

    def lanes_at(self, place: str) -> frozenset[int] | None:
        return None if self.reach is None else self.reach.lanes_at(place)

    @property
    def until(self) -> float | None:
        """When those whom nobody may serve now are to be looked at again."""
        shut = None if self.reach is None else self.reach.shut
        return None if shut is None else shut.until

    @property
    def places(self) -> Mapping[int, frozenset[str]] | None:
        return None if self.reach is None else self.reach.places


async def whereabouts(
    run: Run, gateway: Gateway, campaign: Campaign, waiting: Sequence[int]
) -> Whereabouts:
    """Where the recipients of the `waiting` lanes may go; what nobody can serve is said."""
    ranked = await _ranked(run, gateway, campaign)
    now = run.env.monotonic()
    lanes = [campaign.lanes.get(number) or Lane(number) for number in waiting]
    found = reach(
        lanes,
        await ground_of(run, campaign),
        now,
        sticky_wait=run.settings(gateway, campaign.id).sticky_wait,
        missed=campaign.missed_sims,
    )
    if campaign.missed_sims != found.missed:
        others = campaign.missed_sims.keys() != found.missed.keys()
        campaign.missed_sims = dict(found.missed)
        if others:
            run.ring()  # other gateways are to know how long a SIM is waited for
    _say(campaign, found.shut if any(lane.route or lane.sim for lane in lanes) else None)
    return Whereabouts([lane for lane in waiting if lane in found.places], found, ranked)


def nobody_waits(campaign: Campaign) -> None:
    _say(campaign, None)


def _say(campaign: Campaign, shut: Shut | None) -> None:
    if shut is None:
        campaign.why.pop(ROUTES, None)
    else:
        campaign.why[ROUTES] = Waiting(shut.why, shut.until)


async def _ranked(run: Run, gateway: Gateway, campaign: Campaign) -> dict[int, int]:
    used: Mapping[int, int] = {}
    if campaign.spread is Spread.LEAST_USED:
        sims = {sim_of(gateway, port): port.number for port in gateway.ports.values()}
        counted = await run.store.read(parts_today, run.now_ms(), list(sims))
        used = {sims[sim]: parts for sim, parts in counted.items()}
    last = campaign.last_ports.get(gateway.id)
    return ranks(campaign.spread, list(gateway.ports), last=last, used=used)


def note_dealt(
    gateway: Gateway, campaign: Campaign, granted: Iterable[int], claimed: Sequence[ClaimedTask]
) -> None:
    """Remember which port was served last: the next one is first in turn."""
    dealt: dict[int, int] = {}
    for task in claimed:
        dealt[task.port] = dealt.get(task.port, 0) + task.size
    last = last_served(list(granted), dealt)
    if last is not None:
        campaign.last_ports[gateway.id] = last
