"""Overtaking: an urgent campaign does not queue behind what devices hold of the others.

Theory of operation. A device works off its ports' queues in the order of submission, and up to
`port-window` of sending waits there. An urgent campaign therefore claims as if only urgent tasks
were queued; as soon as a port holds one, what waits there of every other campaign is paused on the
device (a message on air goes on), and nothing more of the others is claimed for that port. Once the
port holds nothing urgent any more, the others are resumed. Which ports are overtaken is read from
the ledger, so that an engine that was killed in between finds it again, and resumes what an earlier
one had paused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from campaign.engine.campaign import Campaign
from campaign.engine.device import Gateway
from campaign.engine.runtime import Run
from campaign.engine.steer import is_to_rest, steer_all
from campaign.planner.routing import Shut
from campaign.planner.shares import Priority
from campaign.planner.states import TaskState
from campaign.store.backlog import Queued, queued
from campaign.store.campaigns import get_campaign

IN_THE_WAY = Shut("an urgent campaign goes first")
_NOTHING: Mapping[int, Shut] = {}
_MAY_GO_ON_AIR = (TaskState.INTENT, TaskState.ACCEPTED)


@dataclass(frozen=True)
class Load:
    """Messages by port that are in somebody's way: none that is paused there, and for an urgent
    campaign none that is going to be."""

    all: Mapping[int, int]
    urgent: Mapping[int, int]
    queue: Sequence[Queued] = ()
    """What all this was read from."""
    resting: frozenset[int] = frozenset()
    """Campaigns of which something is paused there, and stays so by itself."""

    def before(self, campaign: Campaign) -> Mapping[int, int]:
        return self.urgent if campaign.is_urgent else self.all


def load_of(run: Run, gateway: Gateway, queue: Sequence[Queued]) -> Load:
    """What a gateway's ports hold. What is paused but is to go on is about to be resumed."""
    busy: dict[int, int] = {}
    urgent: dict[int, int] = {}
    resting: set[int] = set()
    for row in queue:
        if row.state is TaskState.PAUSED and _stays_paused(run, gateway, row):
            resting.add(row.campaign_id)
            continue
        busy[row.port] = busy.get(row.port, 0) + row.messages
        if _is_urgent(run, row.campaign_id):
            urgent[row.port] = urgent.get(row.port, 0) + row.messages
    return Load(busy, urgent, queue, frozenset(resting))


def _stays_paused(run: Run, gateway: Gateway, row: Queued) -> bool:
    campaign = run.campaigns.get(row.campaign_id)
    return campaign is None or is_to_rest(run, gateway, campaign, row)


def in_the_way(gateway: Gateway, campaign: Campaign) -> Mapping[int, Shut]:
    """The ports this campaign may not claim for although they could send, and why."""
    if campaign.is_urgent or not gateway.overtaken:
        return _NOTHING
    return dict.fromkeys(gateway.overtaken, IN_THE_WAY)


def is_full(gateway: Gateway, busy: Mapping[int, int], queue_limit: int) -> bool:
    """Whether no port could take one more message, whoever's."""
    return all(
        not port.usable or busy.get(port.number, 0) >= min(port.window.size, queue_limit)
        for port in gateway.ports.values()
    )


async def overtake(run: Run, gateway: Gateway) -> None:
    """Let urgent tasks on this gateway's ports go before the others, and the others go on where
    there is none any more."""
    urgent = any(run.campaigns[id_].is_urgent for id_ in run.targets)
    if gateway.overtaken == frozenset() and not urgent:
        return
    queue = await run.store.read(queued, gateway.id)
    ports = _urgent_ports(run, queue)
    if gateway.is_old or ports == gateway.overtaken:
        return  # the old interface has no pause, and one message at a time on a port
    gateway.overtaken = ports
    await steer_all(run, gateway)
    gateway.bell.ring()


async def take_up_order(run: Run, name: str) -> None:
    """Let the running engine know what was just stored; each dispatcher looks anew whose tasks
    are in the way of whose."""
    row = await run.store.read(get_campaign, name)
    campaign = run.campaigns.get(row.id)
    if campaign is None:
        return
    campaign.options, campaign.priority = row.options, row.options.parsed_priority
    for gateway in run.gateways.values():
        gateway.overtaken = None


def _urgent_ports(run: Run, queue: Sequence[Queued]) -> frozenset[int]:
    return frozenset(
        row.port
        for row in queue
        if row.messages and row.state in _MAY_GO_ON_AIR and _is_urgent(run, row.campaign_id)
    )


def _is_urgent(run: Run, campaign_id: int) -> bool:
    campaign = run.campaigns.get(campaign_id)
    return campaign is not None and campaign.priority is Priority.URGENT
