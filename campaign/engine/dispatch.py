"""Dispatch: one task per gateway claims waiting recipients, posts them and settles the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import trio

from campaign.engine.answers import Effects, settle_first_post, settle_legacy
from campaign.engine.gates import shut
from campaign.engine.order import in_turn, read_backlog, served
from campaign.engine.preempting import Load, in_the_way, is_full, load_of, overtake
from campaign.engine.returnpath import return_path
from campaign.engine.runtime import Campaign, Gateway, Instant, Run, Waiting
from campaign.engine.signin import sign_in
from campaign.engine.steer import steer_gateway
from campaign.engine.tokens import take_tokens
from campaign.engine.wire import attachments_of, builder, request_body, tasks_a_post
from campaign.gateway.line import SESSION_ENDED
from campaign.planner.routing import PortFacts, Shut, Turn, plan_turn
from campaign.planner.settings import Settings
from campaign.planner.states import CampaignState, TaskState
from campaign.protocol.device_codec import decode_task
from campaign.store.backlog import Work, queued
from campaign.store.claims import ClaimedTask, ClaimOrder, claim_due, reclaim_planned
from campaign.store.gateways import update_gateway

_FIRST_BACK_OFF = 1.0
_LONGEST_BACK_OFF = 30.0
_STRIKES = 3
_LOOK_AGAIN = 0.05
_ANYBODYS = ("busy", "cannot send")
"""Waits of a port that are the same for every campaign."""
_HALTED = (CampaignState.PAUSED, CampaignState.CANCELLED, CampaignState.FINISHED)


async def dispatch(run: Run, gateway: Gateway) -> None:
    """Send for every target campaign through this gateway, for as long as the run lasts."""
    while not run.stopping:
        mark = gateway.bell.mark()
        if gateway.row.stopped:
            await gateway.bell.wait(mark)
            continue
        if not gateway.ready and not await sign_in(run, gateway):
            continue
        busy, wake_at = await _turn(run, gateway)
        if not busy:
            await gateway.bell.wait(mark, wake_at)


async def _turn(run: Run, gateway: Gateway) -> tuple[bool, float | None]:
    """One claim and post; (False, when to look again) if nothing may be sent now."""
    began, wall = run.instant(), run.env.wall()
    sending = [id_ for id_ in run.targets if not run.campaigns[id_].is_halted(wall)]
    queue = await run.store.read(queued, gateway.id)
    if any(row.state is TaskState.PLANNED for row in queue):
        again = await run.write(
            reclaim_planned, run.epoch, gateway.id, gateway.boot_id, run.now_ms(), sending
        )
        if again:
            await _post(run, gateway, again, began)
            return True, None
    wakes: list[float] = []
    load = load_of(run, queue)
    gateway.crowded = None
    for port in gateway.ports.values():
        port.window = port.window.holding(load.all.get(port.number, 0), run.env.monotonic())
    left = await read_backlog(run)
    for campaign in in_turn(run, gateway, left.work):
        claimed, wake_at = await _claim(run, gateway, campaign, load)
        if claimed:
            await _post(run, gateway, claimed, began)
            await overtake(run, gateway)
            return True, None
        if wake_at is not None:
            wakes.append(wake_at)
    await overtake(run, gateway)
    return False, min(wakes, default=None)


async def _claim(
    run: Run, gateway: Gateway, campaign: Campaign, load: Load
) -> tuple[list[ClaimedTask], float | None]:
    now = run.env.monotonic()
    closed = shut(run, campaign)
    if closed is not None:
        campaign.why[gateway.name] = Waiting(closed.why, closed.until)
        return [], closed.until
    left = await read_backlog(run)
    work = left.work.get(campaign.id, Work())
    pending, due_ms = work.pending, work.due_ms
    # an urgent one does not queue behind the others: what they have in flight takes no place
    in_flight = work.in_flight if campaign.is_urgent else left.in_flight
    busy = load.before(campaign)
    # what is due already waits for a port, not for a time: waking at a past time would spin
    wakes = [run.monotonic_at(due_ms)] if due_ms is not None and due_ms > run.now_ms() else []
    if not pending and (due_ms is None or wakes):
        campaign.why.pop(gateway.name, None)
        return [], min(wakes, default=None)
    settings = run.settings(gateway, campaign.id)
    full = campaign.chosen_ports is None and is_full(gateway, busy, settings.queue_limit)
    if full and gateway.crowded is not None:
        campaign.why[gateway.name] = gateway.crowded
        return [], min([*wakes, *filter(None, [gateway.crowded.until])], default=None)
    turn = _plan(run, gateway, campaign, settings, busy, pending, in_flight, now)
    if not turn.grants:
        waiting = campaign.why[gateway.name] = Waiting(turn.why, turn.wake_at, turn.waits)
        if full and not campaign.is_urgent and all(w.why in _ANYBODYS for w in turn.waits):
            gateway.crowded = waiting
        wakes += [] if turn.wake_at is None else [turn.wake_at]
        return [], min(wakes, default=None)
    campaign.why[gateway.name] = Waiting("", ports=turn.waits)
    granted = sum(grant.count for grant in turn.grants)
    served(run, campaign, granted)
    give_back = take_tokens(run, gateway, campaign, turn, settings, now)
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
    )
    claimed = await run.write(claim_due, order, builder(campaign, settings, files))
    served(run, campaign, sum(task.size for task in claimed) - granted)
    if not claimed:
        give_back()
        again = (await read_backlog(run)).work.get(campaign.id, Work())
        # unless another gateway took the last, everyone who waits just failed here: let the next
        # turn offer them other ports
        for grant in turn.grants if again.pending else ():
            gateway.ports[grant.port].backs_off_until = now + _FIRST_BACK_OFF
        return [], now + _LOOK_AGAIN
    for task in claimed:
        port = gateway.ports[task.port]
        port.window = port.window.holding(port.window.queued + task.size, now)
    return claimed, None


def _plan(
    run: Run,
    gateway: Gateway,
    campaign: Campaign,
    settings: Settings,
    busy: Mapping[int, int],
    pending: int,
    in_flight: int,
    now: float,
) -> Turn:
    held = return_path(run, gateway, settings, now)
    if held is not None and not held.probe:
        return Turn((), held=Shut(held.why, held.until))
    single = gateway.is_old or any(
        (campaign.options.rate, campaign.options.per_port, campaign.options.interval)
    )
    if campaign.options.rate and not campaign.bucket.ready(now):
        return Turn((), held=Shut("pacing", campaign.bucket.next_at))
    overtaken = in_the_way(gateway, campaign)
    turn = plan_turn(
        gateway.id,
        [
            PortFacts(
                port.number,
                port.usable,
                busy.get(port.number, 0),
                min(port.window.size, settings.queue_limit),
                max(port.bucket.next_at, port.backs_off_until),
                port.rests_until,
                shut=overtaken.get(port.number),
            )
            for port in gateway.ports.values()
            if campaign.takes_port(port.number)
        ],
        now,
        fair=-(-(pending + in_flight) // max(1, run.usable_ports(campaign))),
        budget=1 if campaign.options.rate or held is not None or gateway.is_old else None,
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
        for task in claimed:
            await _send_one(run, gateway, task)
        return
    body = await request_body(
        run, gateway, settings, [(task.campaign_id, task.body) for task in claimed]
    )
    await run.check_still_ours(began)
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
        if campaign is not None and campaign.state in _HALTED:
            await steer_gateway(run, gateway, campaign)  # it was paused or cancelled meanwhile
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
            port.rest(now, run.settings_now(gateway).port_rest)
        elif port is not None:
            port.usable = False  # until the device says it is registered again
    for port in map(gateway.ports.get, effects.working_ports):
        if port is not None:
            port.rests_until, port.back_offs = None, 0
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
