"""Planned switch: a port whose SIM has used up a limit goes on with another SIM of it.

The dispatcher itself does it, between two turns, so that no claim for the port can be under way:
nothing more is claimed there, what is queued is waited for (and taken back if it stands still),
then the device is told to switch, and the port is left alone until its new SIM is registered. All
of this lives in memory: after a crash the port is simply looked at again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from campaign.engine.campaign import Campaign
from campaign.engine.device import Gateway, Port, Switch
from campaign.engine.limits import limits_of, monotonic_of, sim_of
from campaign.engine.order import read_backlog
from campaign.engine.runtime import Run
from campaign.errors import GatewayError, RemoteProtocolError
from campaign.planner.pacing import PortWindow
from campaign.planner.quotas import Room, room_for, sim_key
from campaign.planner.routing import Shut
from campaign.planner.switching import SlotSim, next_sim
from campaign.protocol.commands import Op, PortOp
from campaign.protocol.ports import Port as PortName
from campaign.store.backlog import Work
from campaign.store.journal import decide
from campaign.store.sims import list_sims, store_states
from campaign.store.tasks import outstanding
from campaign.store.usage import usage_of

_REGISTERS_WITHIN = 120.0
"""Seconds a SIM has to register before it is taken for one that cannot."""
_LOOK_EVERY = 3.0
_TRIED_FOR = 3600.0
"""Seconds before a SIM that did not register is tried again."""


async def switch_sims(run: Run, gateway: Gateway) -> float | None:
    """Look after the ports whose SIM is used up; when to look again at the latest (monotonic).

    A call sends one command to the device at most for each port that is due.
    """
    if gateway.is_old or not run.settings_now(gateway).auto_switch:
        return None
    await _find_used_up(run, gateway)
    leaving = [port for port in gateway.ports.values() if port.switch is not None]
    if not leaving:
        return None
    busy = await run.store.read(outstanding, gateway.id)
    wakes = [await _go_on(run, gateway, port, busy.get(port.number, 0)) for port in leaving]
    return min((at for at in wakes if at is not None), default=None)


def leaving(port: Port) -> Shut | None:
    """Why nothing may be claimed for a port whose SIM is being switched."""
    return None if port.switch is None else Shut(port.switch.words, port.switch.until)


async def _find_used_up(run: Run, gateway: Gateway) -> None:
    now = run.env.monotonic()
    places = {
        sim_of(gateway, port): port
        for port in gateway.ports.values()
        if port.slot is not None and port.switch is None and now >= port.keeps_sim_until
    }
    waiting = await _who_waits(run, gateway) if places else []
    if not waiting:
        return
    numbers = {sim: port.number for sim, port in places.items()}
    shuts = await _used_up(run, gateway, waiting, numbers)
    stuck = {sim: port for sim, port in places.items() if port.sim_failed and not port.usable}
    for sim in dict.fromkeys([*shuts, *stuck]):
        port = places[sim]
        why = shuts[sim].why if sim in shuts else "SIM did not register"
        target = await _choose(run, gateway, waiting, port)
        if target is None:
            port.keeps_sim_until = now + _LOOK_EVERY * 20
            continue
        port.switch = Switch(target, port.slot, why, since=now, until=now + _LOOK_EVERY)
        run.stands_otherwise(gateway)


async def _who_waits(run: Run, gateway: Gateway) -> list[Campaign]:
    """Campaigns that would send through the gateway, had it room."""
    found: list[Campaign] = []
    left = await read_backlog(run)
    for campaign_id in sorted(run.targets):
        campaign = run.campaigns[campaign_id]
        if campaign.awaits_test:
            continue
        if campaign.takes(gateway) and not campaign.is_halted(run.env.wall()):
            work = left.work.get(campaign_id, Work())
            if work.pending or work.due_ms is not None:
                found.append(campaign)
    return found


async def _used_up(
    run: Run, gateway: Gateway, waiting: list[Campaign], sims: Mapping[str, int]
) -> dict[str, Shut]:
    """SIMs (with the number of their port) that have no room for any campaign that waits for the
    port, and why."""
    rooms = [await _rooms(run, gateway, campaign, sims) for campaign in waiting]
    shuts: dict[str, Shut] = {}
    for sim, number in sims.items():
        theirs = [
            room
            for campaign, room in zip(waiting, rooms, strict=True)
            if campaign.takes_port(number)
        ]
        told = [room[sim] for room in theirs if sim in room]
        ends = [(room.until, room.why) for room in told if room.until is not None]
        if ends and len(ends) == len(theirs):
            until, why = min(ends)
            shuts[sim] = Shut(why, monotonic_of(run, until))
    return shuts


async def _rooms(
    run: Run, gateway: Gateway, campaign: Campaign, sims: Collection[str]
) -> dict[str, Room]:
    """What each SIM has room for, as far as there are caps."""
    limits = limits_of(run, gateway, campaign)
    if not limits.caps:
        return {}
    usages = await run.store.read(usage_of, sims, run.now_ms(), limits.zone)
    return {
        sim: room_for(limits.caps, usage, run.now(), limits.zone, campaign.needs.get(sim, 1))
        for sim, usage in usages.items()
    }


async def _choose(
    run: Run, gateway: Gateway, waiting: list[Campaign], port: Port
) -> SlotSim | None:
    """The SIM that is to take over; the device is asked what is in its slots now."""
    try:
        status = await gateway.device.console.snapshot(all_sims=True)
    except (GatewayError, RemoteProtocolError):
        return None
    await run.write(store_states, run.now_ms(), gateway.id, gateway.boot_id, status.ports, "poll")
    rows = [
        row
        for row in await run.store.read(list_sims, gateway.id)
        if row.port == port.number and row.slot
    ]
    keys = {row.slot: sim_key(gateway.id, row.port, row.slot, row.iccid) for row in rows}
    shuts = await _used_up(run, gateway, waiting, dict.fromkeys(keys.values(), port.number))
    sims = [
        SlotSim(row.slot, row.pool, keys[row.slot], row.iccid, row.code, keys[row.slot] in shuts)
        for row in rows
    ]
    now = run.env.monotonic()
    tried = {slot for slot, at in port.tried_slots.items() if now - at < _TRIED_FOR}
    return next_sim(sims, port.slot or 0, tried)


async def _go_on(run: Run, gateway: Gateway, port: Port, busy: int) -> float | None:
    switch = port.switch
    assert switch is not None  # noqa: S101 - those that leave have one
    now = run.env.monotonic()
    if switch.told is None:
        if busy:
            return _wait_for_queue(run, gateway, port, switch, busy)
        await _tell(run, gateway, port, switch)
    elif port.usable and port.slot != switch.former:  # a device may have gone on to a third SIM
        await _arrived(run, gateway, port, switch)
        return None
    elif now >= switch.told + _REGISTERS_WITHIN:
        await _failed(run, gateway, port, switch)
        return now
    elif now >= switch.until:
        gateway.look = True  # the watcher asks the device
        switch.until = now + _LOOK_EVERY
        gateway.bell.ring()
    return switch.until


def _wait_for_queue(run: Run, gateway: Gateway, port: Port, switch: Switch, busy: int) -> float:
    """What is queued goes out first; what stands still for long is taken back."""
    now = run.env.monotonic()
    if busy != switch.busy:
        switch.busy, switch.since = busy, now
    elif now >= switch.since + run.settings_now(gateway).push_silence:
        switch.since = now
        port.evict = True
        gateway.duties.ring()
    switch.until = max(switch.until, now + _LOOK_EVERY) if now >= switch.until else switch.until
    return switch.until


async def _tell(run: Run, gateway: Gateway, port: Port, switch: Switch) -> None:
    target = switch.target
    why = f"port {port.number}: from slot {port.slot} to slot {target.slot}, {switch.why}"
    await run.write(decide, run.now_ms(), "switch", why, gateway_id=gateway.id)
    name = PortName(port.number, target.slot, target.pool or None)
    notation = gateway.row.device.notation or "letter"
    port.usable = False  # until the device says that the new SIM is registered
    try:
        await gateway.device.console.command(PortOp(Op.SWITCH, (name,)), notation)
    except (GatewayError, RemoteProtocolError) as error:
        # it may have been carried out: the port's state will tell
        run.notice(f"{gateway.name} did not confirm the switch of port {port.number}: {error}")
    now = run.env.monotonic()
    switch.told, switch.until = now, now + _LOOK_EVERY
    run.notice(f"{gateway.name} {why}")


async def _arrived(run: Run, gateway: Gateway, port: Port, switch: Switch) -> None:
    port.switch, port.sim_failed = None, False
    port.tried_slots.pop(switch.target.slot, None)
    port.window = PortWindow()
    port.work()
    run.notice(f"{gateway.name} port {port.number} goes on with the SIM of slot {port.slot}")
    run.ring()


async def _failed(run: Run, gateway: Gateway, port: Port, switch: Switch) -> None:
    """An alarm; the next look tries the next slot, if there is one."""
    port.switch, port.sim_failed = None, True
    run.stands_otherwise(gateway)
    port.tried_slots[switch.target.slot] = run.env.monotonic()
    why = (
        f"port {port.number}: the SIM of slot {switch.target.slot} did not register within"
        f" {_REGISTERS_WITHIN:g} s"
    )
    await run.write(decide, run.now_ms(), "alarm", why, gateway_id=gateway.id)
    run.notice(f"{gateway.name} {why}")
