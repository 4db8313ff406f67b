"""What happens to a world from outside: operators, SIMs, devices, disks, clocks, the receiver."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

import trio
import trio.testing

from campaign.engine.control import answer_stream
from campaign.engine.conversation import Conversation
from campaign.engine.runtime import Run
from campaign.engine.verbs import perform
from campaign.errors import CampaignError, NothingToDo, UsageError
from campaign.protocol.codes import PortCode
from campaign.store.door import transaction
from campaign.store.optouts import OptOut, add_optouts
from tests.simulation.process import only_killed
from tests.simulation.scenario import Act
from tests.simulation.world import RECEIVER, World


async def happen(world: World, act: Act) -> None:
    """Let one act happen at its time."""
    await world.until(act.at)
    world.sometimes[f"act: {act.kind}"] += 1
    world.net.trace("act", kind=act.kind, device=act.device, port=act.port, campaign=act.campaign)
    plan = world.scenario.devices[act.device]
    simulator = world.simulators[plan.name]
    now = trio.current_time()
    port = simulator.device.radio.port(act.port)
    match act.kind:
        case "pause" | "continue" | "cancel":
            await tell(world, act.kind, {"name": world.scenario.campaigns[act.campaign].name})
        case "resend" | "retry-failed":
            await _decide(world, act)
        case "opt-out":
            entry = OptOut(act.number, world.env("operator").wall_ms(), "operator")
            add_optouts(world.optouts, [entry])
            await tell(world, "optouts-changed", {})
        case "stop-reply":
            simulator.receive(act.port, act.number, "STOP")
        case "inbound-storm":
            for nth in range(act.count):
                simulator.receive(act.port, f"99966{nth:06d}", f"Hello {nth}")
        case "reboot":
            simulator.device.power.reboot(now)
        case "switch":
            simulator.device.power.switch(port, port.slot % simulator.settings.slots + 1, now)
        case "lock":
            simulator.device.power.lock(port)
        case "unlock":
            simulator.device.power.unlock(port, None, now)
        case "port-dies" | "port-hangs":
            await _kill_port(world, act)
        case "receiver-down":
            await _receiver_down(world, act)
        case "receiver-killed":
            await _receiver_killed(world, act)
        case "ledger-full" | "inbox-full":
            await _disk_full(world, act)
        case "clock-step":
            forward = 1 if act.port % 2 == 0 else -1
            world.clock_step += timedelta(seconds=forward * act.seconds * act.count)
        case "unreachable" | "unplugged":
            host = world.net.hosts[plan.name]
            host.down = True
            if act.kind == "unplugged":
                world.net.unplugged.add(plan.name)
            await trio.sleep(act.seconds)
            host.down = False
            world.net.unplugged.discard(plan.name)


async def _decide(world: World, act: Act) -> None:
    """Somebody knows better than the ledger, and takes the risk."""
    word = {
        "name": world.scenario.campaigns[act.campaign].name,
        "by": "operator", "why": "they say nothing came", "yes": True,
    }  # fmt: skip
    if act.kind == "resend":
        await tell(world, "resolve", {**word, "causes": ["all"], "as": "resend"})
    else:
        await tell(world, "retry", word)


async def tell(world: World, verb: str, parameters: dict[str, object]) -> None:
    """A command from another process: through the running engine, else by itself; an engine that
    dies under it is asked again, as an operator would, who continues nothing before its pause."""
    async with world.operator:
        await _tell(world, verb, parameters)


async def look_after(world: World, seconds: float) -> None:
    """Look at what campaigns wait for, now and then: where no report of a gateway came through, its
    probes are spent and the network is well again, do what the notice says."""
    while True:
        await trio.sleep(seconds)
        rows = world.conn.execute("SELECT waiting_for FROM campaigns WHERE state = 'running'")
        waits = " ".join(why or "" for (why,) in rows)
        for name in world.simulators:
            if f"no report from {name} " in waits:
                world.sometimes["return path lifted by hand"] += 1
                await tell(
                    world, "gateway-set", {"name": name, "settings": {"return-path": "assume"}}
                )


async def _tell(world: World, verb: str, parameters: dict[str, object]) -> None:
    while True:
        try:
            if world.run is None or world.life.dead:
                with transaction(world.conn):
                    perform(world.conn, world.env("operator").wall_ms(), verb, parameters)
            else:
                await _ask(world, {"cmd": "do", "verb": verb, "parameters": parameters})
        except (CampaignError, sqlite3.Error) as error:
            world.net.trace("refused", verb=verb, why=str(error))
            if getattr(error, "exit_code", 1) in (UsageError.exit_code, NothingToDo.exit_code):
                return
            await trio.sleep(2.0)
        else:
            return


async def _ask(world: World, request: dict[str, object]) -> None:
    assert world.run is not None
    ours, theirs = trio.testing.memory_stream_pair()
    failure: CampaignError | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_serve, world.run, theirs)
        try:
            await Conversation(ours).ask(request)
        except CampaignError as error:
            failure = error
        await ours.aclose()
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _serve(run: Run, stream: trio.abc.Stream) -> None:
    """The engine's end of a conversation, which may die in the middle."""
    try:
        await answer_stream(run, stream)
    except BaseException as error:
        if not only_killed(error) or isinstance(error, trio.Cancelled):
            raise
        await stream.aclose()


async def _kill_port(world: World, act: Act) -> None:
    """The last port that can send stays: somebody has to finish."""
    living = [
        port
        for simulator in world.simulators.values()
        for port in simulator.device.radio.ports
        if not port.dead and port.code == PortCode.REGISTERED
    ]
    device = world.simulators[world.scenario.devices[act.device].name].device
    port = device.radio.port(act.port)
    if port not in living or len(living) < 2 or not device.radio.powered:
        return
    device.power.die(port, trio.current_time(), hangs=act.kind == "port-hangs")


async def _receiver_down(world: World, act: Act) -> None:
    world.net.hosts[RECEIVER].down = True
    await trio.sleep(act.seconds)
    if world.receiver is not None:
        world.net.hosts[RECEIVER].down = False


async def _receiver_killed(world: World, act: Act) -> None:
    """Killed at some step while it takes a push, and started again later."""
    arrived = trio.Event()
    world.net.arriving = arrived.set
    with trio.move_on_after(60):
        await arrived.wait()
    world.net.arriving = lambda: None
    dead = trio.Event()

    def kill() -> None:
        world.kill_receiver()
        dead.set()

    world.reaper.arm(act.count % 17, kill)
    await dead.wait()
    await trio.sleep(act.seconds)
    await world.start_receiver()


async def _disk_full(world: World, act: Act) -> None:
    """No page more than there are: SQLite itself says that the disk is full."""
    if act.kind == "inbox-full":
        if world.receiver is not None:
            writer = world.receiver.writer
            _limit(writer._connection, full=True)
            await trio.sleep(act.seconds)
            _limit(writer._connection, full=False)
        return
    world.disk_full = True
    _limit(world.conn, full=True)
    await trio.sleep(act.seconds)
    world.disk_full = False
    _limit(world.conn, full=False)


def _limit(conn: sqlite3.Connection, *, full: bool) -> None:
    (pages,) = conn.execute("PRAGMA page_count").fetchone()
    conn.execute(f"PRAGMA max_page_count = {pages if full else 2**31 - 2}")
