"""Dispatch: one task per gateway claims waiting recipients, posts them and settles the answer."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from campaign.engine.answers import Effects, settle_first_post, settle_legacy
from campaign.engine.gates import open_lanes, shut
from campaign.engine.hours import (
    closing_times,
    goes_on,
    sending_now,
    still_open,
    within_hours,
)
from campaign.engine.limits import PortRoom, limits_of, remember_too_large, rooms, sims_of
from campaign.engine.order import in_turn, served
from campaign.engine.reaching import Whereabouts, nobody_waits, note_dealt, whereabouts
from campaign.engine.repacing import take_over_recalled
from campaign.engine.returnpath import return_path
from campaign.engine.runtime import Campaign, Gateway, Instant, Run, Waiting
from campaign.engine.signin import sign_in
from campaign.engine.steer import steer_gateway
from campaign.engine.switching import leaving, switch_sims
from campaign.engine.tokens import held_by_pace, port_ready_at, take_tokens
from campaign.engine.wire import attachments_of, builder, request_body, tasks_a_post
from campaign.gateway.line import SESSION_ENDED
from campaign.planner.limits import Limits
from campaign.planner.places import place_of
from campaign.planner.routing import PortFacts, Shut, Turn, plan_turn
from campaign.planner.settings import Settings
from campaign.protocol.device_codec import decode_task
from campaign.store.claims import ClaimedTask, ClaimOrder, claim_due, reclaim_planned, wake_due
from campaign.store.gateways import update_gateway
from campaign.store.summary import work_left
from campaign.store.tasks import mark_planned, outstanding

_FIRST_BACK_OFF = 1.0
_LONGEST_BACK_OFF = 30.0
_STRIKES = 3
_LOOK_AGAIN = 0.05


async def dispatch(run: Run, gateway: Gateway) -> None:
    """Send for every target campaign through this gateway, for as long as the run lasts."""
    while not run.stopping:
        mark = gateway.bell.mark()
        if gateway.row.stopped:
            await gateway.bell.wait(mark)
            continue
        if not gateway.ready and not await sign_in(run, gateway):
            continue
        switch_at = await switch_sims(run, gateway)
        busy, wake_at = await _turn(run, gateway)
        if not busy:
            wakes = [at for at in (wake_at, switch_at) if at is not None]
            await gateway.bell.wait(mark, min(wakes, default=None))


async def _turn(run: Run, gateway: Gateway) -> tuple[bool, float | None]:
    """One claim and post; (False, when to look again) if nothing may be sent now."""
    began = run.instant()
    again = await run.write(
        reclaim_planned, run.epoch, gateway.id, gateway.boot_id, run.now_ms(), *sending_now(run)
    )
    if again:
        await _post(run, gateway, again, began)
        return True, None
    wakes: list[float] = []
    gateway.usages.clear()
    gateway.grounds.clear()
    take_over_recalled(gateway)
    busy = await run.store.read(outstanding, gateway.id)
    for port in gateway.ports.values():
        port.window = port.window.holding(busy.get(port.number, 0), run.env.monotonic())
    for campaign in in_turn(run, gateway):
        claimed, wake_at = await _claim(run, gateway, campaign, busy)
        if claimed:
            served(gateway, campaign)
            await _post(run, gateway, claimed, began)
            return True, None
        if wake_at is not None:
            wakes.append(wake_at)
    return False, min(wakes, default=None)


async def _claim(
    run: Run, gateway: Gateway, campaign: Campaign, busy: dict[int, int]
) -> tuple[list[ClaimedTask], float | None]:
    now = run.env.monotonic()
    closed = shut(run, campaign)
    if closed is not None:
        _say_why(run, gateway, campaign, closed)
        return [], closed.until
    pending, in_flight, due_ms = await run.store.read(work_left, campaign.id)
    # what is due already waits for a port, not for a time: waking at a past time would spin
    wakes = [run.monotonic_at(due_ms)] if due_ms is not None and due_ms > run.now_ms() else []
    if not pending and (due_ms is None or wakes):
        campaign.why.pop(gateway.name, None)
        nobody_waits(campaign)
        return [], min(wakes, default=None)
    settings, limits = run.settings(gateway, campaign.id), limits_of(run, gateway, campaign)
    if due_ms is not None and not wakes:  # their lanes are to be seen
        await run.write(wake_due, campaign.id, run.now_ms())
    lanes = await open_lanes(run, campaign, settings, due=False)
    if isinstance(lanes, Shut):
        _say_why(run, gateway, campaign, lanes)
        nobody_waits(campaign)
        wakes += [] if lanes.until is None else [lanes.until]
        return [], min(wakes, default=None)
    room = await rooms(run, gateway, campaign, limits)
    where = await whereabouts(run, gateway, campaign, list(lanes))
    turn = _plan(
        run, gateway, campaign, settings, limits, room, busy, pending, in_flight, now, where
    )
    turn = within_hours(run, gateway, campaign, turn, lanes)
    if not turn.grants:
        campaign.why[gateway.name] = Waiting(turn.why, turn.wake_at, turn.waits)
        wakes += [at for at in (turn.wake_at, where.until) if at is not None]
        return [], min(wakes, default=None)
    campaign.why[gateway.name] = Waiting("", ports=turn.waits)
    # at once: whoever waits between the look and the tokens lets another gateway look, too
    settle = take_tokens(run, gateway, campaign, turn, limits, settings, now)
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
        lanes=where.lanes,
        until=closing_times(lanes),
        reach=where.places,
        sims=sims_of(gateway, limits, turn.grants),
    )
    claimed = await run.write(claim_due, order, builder(campaign, settings, files))
    settle(claimed)
    if not claimed:
        remember_too_large(gateway, campaign, room, turn.grants)
        # everyone who waits just failed here: let the next turn offer them other ports
        for grant in turn.grants:
            gateway.ports[grant.port].backs_off_until = now + _FIRST_BACK_OFF
        return [], now + _LOOK_AGAIN
    note_dealt(gateway, campaign, (grant.port for grant in turn.grants), claimed)
    for task in claimed:
        port = gateway.ports[task.port]
        port.window = port.window.holding(port.window.queued + task.size, now)
    return claimed, None


def _say_why(run: Run, gateway: Gateway, campaign: Campaign, closed: Shut) -> None:
    known = campaign.why.get(gateway.name)
    campaign.why[gateway.name] = Waiting(closed.why, closed.until)
    if known is None or known.why != closed.why:
        run.changed.ring()  # whoever shows it may have looked already


def _plan(
    run: Run,
    gateway: Gateway,
    campaign: Campaign,
    settings: Settings,
    limits: Limits,
    room: dict[int, PortRoom],
    busy: dict[int, int],
    pending: int,
    in_flight: int,
    now: float,
    where: Whereabouts,
) -> Turn:
    held = return_path(run, gateway, settings, now)
    if held is not None and not held.probe:
        return Turn((), held=Shut(held.why, held.until))
    paced = held_by_pace(gateway, campaign, limits, now)
    if paced is not None:
        return Turn((), held=paced)
    single = gateway.is_old or limits.paces_all or limits.paces_ports
    turn = plan_turn(
        gateway.id,
        [
            PortFacts(
                port.number,
                port.usable or port.switch is not None,  # the latter says why it is shut
                busy.get(port.number, 0),
                min(port.window.size, settings.queue_limit),
                max(port_ready_at(port), port.backs_off_until),
                port.rests_until,
                shut=leaving(port) or (room[port.number].shut if port.number in room else None),
                room=room[port.number].messages if port.number in room else None,
                lanes=where.lanes_at(place_of(gateway.id, port.number)),
                rank=where.ranked[port.number],
            )
            for port in gateway.ports.values()
            if campaign.takes_port(port.number)
        ],
        now,
        fair=-(-(pending + in_flight) // max(1, run.usable_ports(campaign))),
        budget=1 if limits.paces_all or held is not None or gateway.is_old else None,
        single=single or held is not None,
        slow_start=held is None
        and not (gateway.is_old or gateway.pushed)
        and settings.return_path != "assume",
    )
    if held is not None and turn.grants:
        gateway.probes += 1
        gateway.last_probe = now
    return turn


async def _post(run: Run, gateway: Gateway, claimed: Sequence[ClaimedTask], began: Instant) -> None:
    settings = run.settings(gateway, claimed[0].campaign_id)
    if gateway.is_old:
        await run.check_still_ours(began)
        if not still_open(run, claimed):
            await run.write(mark_planned, [task.id for task in claimed])
            return
        for task in claimed:
            await _send_one(run, gateway, task)
        return
    body = await request_body(
        run, gateway, settings, [(task.campaign_id, task.body) for task in claimed]
    )
    await run.check_still_ours(began)
    if not still_open(run, claimed):
        await run.write(mark_planned, [task.id for task in claimed])  # released by the next turn
        return
    run.posting += 1
    try:
        outcome = await gateway.device.post(body)
    finally:
        run.posting -= 1
        run.changed.ring()
    effects = await run.write(
        settle_first_post, run.now_ms(), gateway.id, claimed, outcome, run.env.rng
    )
    await _act_on(run, gateway, effects)
    for campaign_id in {task.campaign_id for task in claimed}:
        campaign = run.campaigns.get(campaign_id)
        if campaign is not None and not goes_on(run, campaign, claimed):
            # it was paused or cancelled meanwhile, or its window closes
            await steer_gateway(run, gateway, campaign)
    run.changed.ring()


async def _send_one(run: Run, gateway: Gateway, task: ClaimedTask) -> None:
    """One message by the old interface; its intent is committed."""
    stored = decode_task(task.body)
    run.posting += 1
    try:
        outcome = await gateway.device.post_legacy(stored.port, stored.to, stored.sms)
    finally:
        run.posting -= 1
        run.changed.ring()
    effects = await run.write(settle_legacy, run.now_ms(), gateway.id, task, outcome, run.env.rng)
    await _act_on(run, gateway, effects)
    run.ring()


async def _act_on(run: Run, gateway: Gateway, effects: Effects) -> None:
    now = run.env.monotonic()
    if effects.accepted:
        gateway.strikes = 0
        gateway.first_accept = now if gateway.first_accept is None else gateway.first_accept
    # a task that was planned in an earlier run may name a port that the device has no more
    for port in map(gateway.ports.get, effects.full_ports):
        if port is not None:
            port.window = port.window.halved()
            port.back_off(now, _FIRST_BACK_OFF, _LONGEST_BACK_OFF)
    for port in map(gateway.ports.get, effects.sick_ports):
        if port is not None and gateway.is_old:
            port.fail(now, run.settings_now(gateway).port_rest)
        elif port is not None:
            port.usable = False  # until the device says it is registered again
    for port in map(gateway.ports.get, effects.working_ports):
        if port is not None:
            port.work()
    if effects.strike is not None:
        gateway.strikes += 1
        for port in gateway.ports.values():
            port.back_off(now, _FIRST_BACK_OFF, _LONGEST_BACK_OFF)
        if gateway.strikes >= _STRIKES:
            effects.stop = f"{_STRIKES} refusals in a row, the last: {effects.strike}"
            await run.write(update_gateway, gateway.id, stopped=effects.stop)
    if effects.stop is not None:
        stop(run, gateway, effects.stop)
    if effects.doubtful:
        gateway.duties.ring()
    if effects.never_sent is not None:
        gateway.ready = False
        if effects.never_sent != SESSION_ENDED:
            await trio.sleep(_FIRST_BACK_OFF)  # it may well answer questions meanwhile


def stop(run: Run, gateway: Gateway, why: str) -> None:
    """An alarm: nothing more is sent through this gateway until somebody looked at it."""
    gateway.row = gateway.row.with_stop(why)
    gateway.trouble = why
    run.notice(f"{gateway.name} is stopped: {why}; gateway test {gateway.name} or resume lifts it")
    run.ring()
