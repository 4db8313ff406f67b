"""Claiming: what a campaign may send through a gateway now, and the claim that writes it down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from campaign.engine.campaign import Campaign
from campaign.engine.device import Gateway, Port
from campaign.engine.gates import open_lanes, shut
from campaign.engine.hours import closing_times, within_hours
from campaign.engine.limits import PortRoom, limits_of, remember_too_large, rooms, sims_of
from campaign.engine.order import read_backlog, served
from campaign.engine.preempting import Load, in_the_way, is_full
from campaign.engine.reaching import Whereabouts, nobody_waits, note_dealt, whereabouts
from campaign.engine.resting import resting
from campaign.engine.returnpath import Held, return_path
from campaign.engine.runtime import Run
from campaign.engine.switching import leaving
from campaign.engine.tokens import held_by_pace, port_ready_at, take_tokens
from campaign.engine.wire import attachments_of, builder, tasks_a_post
from campaign.planner.limits import Limits
from campaign.planner.places import place_of
from campaign.planner.routing import BUSY, PortFacts, Shut, Turn, Waiting, plan_turn
from campaign.planner.settings import Settings
from campaign.store.backlog import Work
from campaign.store.claims import ClaimedTask, claim_due, wake_due
from campaign.store.earlier import unheard_by_ports
from campaign.store.picking import ClaimOrder

_AFTER_NOBODY = 1.0
_LOOK_AGAIN, _LOOK_LATER = 0.05, 1.0
_ANYBODYS = (BUSY, "cannot send")
"""Waits of a port that are the same for every campaign."""

OpenLanes = Mapping[int, datetime | None]
"""The lanes that may be claimed from now, with the moment each closes."""
Claimed = tuple[list[ClaimedTask], float | None]
"""What was claimed, else when to look again at the latest (None: when something happens)."""


async def claim(run: Run, gateway: Gateway, campaign: Campaign, load: Load) -> Claimed:
    """Claim what this campaign may send through this gateway now; its intents are committed."""
    closed = shut(run, campaign)
    if closed is not None:
        _say_why(run, gateway, campaign, closed)
        return [], closed.until
    left = await read_backlog(run)
    work = left.work.get(campaign.id, Work())
    # what is due already waits for a port, not for a time: waking at a past time would spin
    is_due = work.due_ms is not None and work.due_ms <= run.now_ms()
    due_at = None if work.due_ms is None or is_due else run.monotonic_at(work.due_ms)
    if not work.pending and not is_due:
        rests = resting(run, campaign, load)
        if rests is None:
            campaign.why.pop(gateway.name, None)
        else:
            _say(run, gateway, campaign, rests)
        nobody_waits(campaign)
        return [], due_at
    settings = run.settings(gateway, campaign.id)
    busy = load.before(campaign)
    full = campaign.chosen_ports is None and is_full(gateway, busy, settings.queue_limit)
    if full and gateway.crowded is not None:
        campaign.why[gateway.name] = gateway.crowded
        return [], _earliest(due_at, gateway.crowded.until)
    if is_due:  # their lanes are to be seen
        await run.write(wake_due, campaign.id, run.now_ms())
    lanes = await open_lanes(run, campaign, settings)
    if isinstance(lanes, Shut):
        _say_why(run, gateway, campaign, lanes)
        nobody_waits(campaign)
        return [], _earliest(due_at, lanes.until)
    # an urgent one does not queue behind the others: what they have in flight takes no place
    in_flight = work.in_flight if campaign.is_urgent else left.in_flight
    chance = await _look(run, gateway, campaign, settings, busy, work.pending + in_flight, lanes)
    turn = within_hours(run, gateway, campaign, _plan(run, chance), lanes)
    if not turn.grants:
        waiting = campaign.why[gateway.name] = Waiting(turn.why, turn.wake_at, turn.waits)
        if full and not campaign.is_urgent and all(w.why in _ANYBODYS for w in turn.waits):
            gateway.crowded = waiting
        if not any(wait.why == BUSY for wait in turn.waits):
            run.queue = run.queue.without(campaign.id)  # it is not for want of room
        return [], _earliest(due_at, turn.wake_at, chance.where.until)
    campaign.why[gateway.name] = Waiting("", ports=turn.waits)
    return await _write_down(run, chance, turn)


def _say_why(run: Run, gateway: Gateway, campaign: Campaign, closed: Shut) -> None:
    _say(run, gateway, campaign, Waiting(closed.why, closed.until))


def _say(run: Run, gateway: Gateway, campaign: Campaign, waiting: Waiting) -> None:
    known = campaign.why.get(gateway.name)
    campaign.why[gateway.name] = waiting
    if known is None or known.why != waiting.why:
        run.changed.ring()  # whoever shows it may have looked already


def _earliest(*times: float | None) -> float | None:
    return min((at for at in times if at is not None), default=None)


@dataclass(frozen=True)
class _Chance:
    """One look of one campaign at one gateway: everything its turn is planned from."""

    gateway: Gateway
    campaign: Campaign
    settings: Settings
    limits: Limits
    room: Mapping[int, PortRoom]
    where: Whereabouts
    lanes: OpenLanes
    busy: Mapping[int, int]
    """Messages by port that are in its way."""
    left: int
    """Messages that wait or are in flight, to be shared by all ports."""
    held: Held | None
    """Whether the way back from the gateway is not proved."""
    unheard: Mapping[int, int] | None
    """Messages by port of runs that no report of the gateway has reached; None: it does not
    matter, or all are."""
    now: float


async def _look(
    run: Run,
    gateway: Gateway,
    campaign: Campaign,
    settings: Settings,
    busy: Mapping[int, int],
    left: int,
    lanes: OpenLanes,
) -> _Chance:
    held = return_path(run, gateway, settings, run.env.monotonic())  # before ports are looked at
    limits = limits_of(run, gateway, campaign)
    room = await rooms(run, gateway, campaign, limits)
    where = await whereabouts(run, gateway, campaign, list(lanes))
    unheard: Mapping[int, int] | None = None
    if gateway.id in run.heard and not gateway.pushed:
        unheard = await run.store.read(unheard_by_ports, gateway.id, run.heard[gateway.id])
    now = run.env.monotonic()
    return _Chance(
        gateway, campaign, settings, limits, room, where, lanes, busy, left, held, unheard, now
    )


def _plan(run: Run, chance: _Chance) -> Turn:
    gateway, campaign = chance.gateway, chance.campaign
    held = chance.held
    if held is not None and not held.probe:
        return Turn((), held=Shut(held.why, held.until))
    paced = held_by_pace(gateway, campaign, chance.limits, chance.now)
    if paced is not None:
        return Turn((), held=paced)
    one_by_one = gateway.is_old or held is not None
    overtaken = in_the_way(gateway, campaign)
    return plan_turn(
        gateway.id,
        [
            _facts(chance, port, overtaken)
            for port in gateway.ports.values()
            if campaign.takes_port(port.number)
        ],
        chance.now,
        fair=-(-chance.left // max(1, run.usable_ports(campaign))),
        budget=1 if one_by_one or chance.limits.paces_all else None,
        single=one_by_one or chance.limits.paces_all or chance.limits.paces_ports,
        slow_start=held is None
        and not (gateway.is_old or gateway.pushed)
        and chance.settings.return_path != "assume",
    )


def _facts(chance: _Chance, port: Port, overtaken: Mapping[int, Shut]) -> PortFacts:
    room = chance.room.get(port.number, PortRoom())
    return PortFacts(
        port.number,
        port.usable or port.switch is not None,  # the latter says why it is shut
        chance.busy.get(port.number, 0),
        min(port.window.size, chance.settings.queue_limit),
        max(
            port_ready_at(port),
            port.backs_off_until,
            chance.campaign.nobody.get((chance.gateway.id, port.number), 0.0),
        ),
        port.rests_until,
        shut=leaving(port) or overtaken.get(port.number) or room.shut,
        room=room.messages,
        lanes=chance.where.lanes_at(place_of(chance.gateway.id, port.number)),
        rank=chance.where.ranked[port.number],
        unheard=None if chance.unheard is None else chance.unheard.get(port.number, 0),
    )


async def _write_down(run: Run, chance: _Chance, turn: Turn) -> Claimed:
    gateway, campaign, settings = chance.gateway, chance.campaign, chance.settings
    # at once: whoever waits between the look and the tokens lets another gateway look, too
    granted = sum(grant.count for grant in turn.grants)
    served(run, campaign, granted)
    settle = take_tokens(run, gateway, campaign, turn, chance.limits, settings, chance.now)
    files = await attachments_of(run, campaign.id)
    order = ClaimOrder(
        epoch=run.epoch,
        campaign_id=campaign.id,
        gateway_id=gateway.id,
        boot_id=gateway.boot_id,
        grants=turn.grants,
        # the old interface takes one message a request: no intent may wait behind another's answer
        task_size=1 if gateway.is_old else settings.task_size,
        most_tasks=1 if gateway.is_old else min(settings.post_tasks, tasks_a_post(files)),
        only_place=run.usable_ports(campaign) <= 1,
        now_ms=run.now_ms(),
        lanes=chance.where.lanes,
        until=closing_times(chance.lanes),
        reach=chance.where.places,
        sims=sims_of(gateway, chance.limits, turn.grants),
    )
    found = await run.write(claim_due, order, builder(campaign, settings, files))
    claimed = list(found.tasks)
    served(run, campaign, sum(task.size for task in claimed) - granted)
    settle(claimed)
    if found.too_large:
        remember_too_large(gateway, campaign, chance.room, turn.grants)
    if found.in_vain:  # let this campaign's next turn offer those who wait other ports
        for grant in turn.grants:
            campaign.nobody[gateway.id, grant.port] = chance.now + _AFTER_NOBODY
    if not claimed:
        # whoever halted a campaign rings; a probe that nobody can make waits for somebody who can
        later = found.halted or chance.held is not None
        return [], chance.now + (_LOOK_LATER if later else _LOOK_AGAIN)
    if chance.held is not None:
        gateway.probes += 1
        gateway.last_probe = chance.now
    note_dealt(gateway, campaign, (grant.port for grant in turn.grants), claimed)
    given: Counter[int] = Counter()
    for task in claimed:
        given[task.port] += task.size
    for number, messages in given.items():
        port = gateway.ports[number]
        port.window = port.window.holding(port.window.queued + messages, chance.now)
    return claimed, None
