"""Dispatch: one task per gateway claims waiting recipients, posts them and settles the answer."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from campaign.engine.answers import Effects, settle_first_post, settle_legacy
from campaign.engine.claiming import claim
from campaign.engine.device import Gateway
from campaign.engine.hours import goes_on, sending_now, still_open
from campaign.engine.order import in_turn, read_backlog, read_queue
from campaign.engine.preempting import load_of, overtake
from campaign.engine.repacing import take_over_recalled
from campaign.engine.runtime import Instant, Run
from campaign.engine.signin import sign_in
from campaign.engine.steer import steer_gateway
from campaign.engine.switching import switch_sims
from campaign.engine.wire import request_body
from campaign.gateway.line import SESSION_ENDED
from campaign.planner.states import TaskState
from campaign.protocol.device_codec import decode_task
from campaign.store.claims import ClaimedTask, reclaim_planned
from campaign.store.gateways import update_gateway
from campaign.store.tasks import mark_planned

_FIRST_BACK_OFF = 1.0
_LONGEST_BACK_OFF = 30.0
_STRIKES = 3
_LOOK_AGAIN = 0.05


async def dispatch(run: Run, gateway: Gateway) -> None:
    """Send for every target campaign through this gateway, for as long as the run lasts."""
    while not run.stopping:
        mark = gateway.bell.mark()
        if gateway.row.stopped:
            await overtake(run, gateway)  # what an urgent campaign overtook goes on after it
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
    queue = await read_queue(run, gateway)
    if any(row.state is TaskState.PLANNED for row in queue):
        again = await run.write(
            reclaim_planned,
            run.epoch,
            gateway.id,
            gateway.boot_id,
            run.now_ms(),
            *sending_now(run),
        )
        if again:
            await _post(run, gateway, again, began)
            return True, None
    wakes: list[float] = []
    load = load_of(run, gateway, queue)
    gateway.crowded = None
    gateway.usages.clear()
    gateway.changes += 1
    take_over_recalled(gateway)
    now = run.env.monotonic()
    for port in gateway.ports.values():
        port.window = port.window.holding(load.all.get(port.number, 0), now)
    left = await read_backlog(run)
    for campaign in in_turn(run, gateway, left.work):
        claimed, wake_at = await claim(run, gateway, campaign, load)
        if claimed:
            await _post(run, gateway, claimed, began)
            await overtake(run, gateway)
            return True, None
        if wake_at is not None:
            wakes.append(wake_at)
    await overtake(run, gateway)
    return False, min(wakes, default=None)


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
    if any(effects.sick_ports):
        run.stands_otherwise(gateway)
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
        run.stands_otherwise(gateway)
        if effects.never_sent != SESSION_ENDED:
            await trio.sleep(_FIRST_BACK_OFF)  # it may well answer questions meanwhile


def stop(run: Run, gateway: Gateway, why: str) -> None:
    """An alarm: nothing more is sent through this gateway until somebody looked at it."""
    gateway.row = gateway.row.with_stop(why)
    gateway.trouble = why
    run.notice(f"{gateway.name} is stopped: {why}; gateway test {gateway.name} or resume lifts it")
    run.ring()
