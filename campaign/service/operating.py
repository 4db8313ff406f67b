"""Commands to a device (spec §5), checked before they are sent and followed to their result.

The answer comes at once; what a lock, a switch or a reset led to is told by port states. They are
read from the device each second and, where it pushes to us, from the inbox.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import trio

from campaign.errors import GatewayError, LocalProtocolError, RemoteProtocolError, UsageError
from campaign.gateway.client import Device
from campaign.planner.routing import active_slots
from campaign.planner.states import TaskState
from campaign.protocol.commands import (
    REBOOT,
    Command,
    DeviceOp,
    Multiple,
    Op,
    PortOp,
    check_command,
)
from campaign.protocol.messages import DevStatus
from campaign.protocol.ports import AllPorts, Notation, Port, parse_selection
from campaign.service.gateways import registered
from campaign.service.ledger import read
from campaign.service.portresults import LOOK_SECONDS, PortResult, Watcher, follow
from campaign.service.reaching import reach
from campaign.service.site import Site
from campaign.store.gateways import GatewayRow
from campaign.store.tasks import live_tasks

DEFAULT_WAIT = 90.0
"""Seconds for a result: registration takes about a minute."""


@dataclass
class Outcome:
    """A command that was carried out. `boot_id` is the new run after a reboot."""

    name: str
    reason: str
    ports: list[PortResult] = field(default_factory=list)
    seconds: float = 0.0
    boot_id: str | None = None
    rebooted: bool | None = None

    @property
    def in_time(self) -> bool:
        """Whether everything that was waited for came."""
        return self.rebooted is not False and all(port.reached is not False for port in self.ports)


def parse_ports(texts: Sequence[str]) -> tuple[Port, ...] | AllPorts:
    """Ports as an operator writes them: `1-4 7 2B`, `all`. Raises `UsageError`."""
    try:
        return parse_selection(",".join(texts))
    except LocalProtocolError as error:
        raise UsageError(str(error)) from error


def port_op(op: Op, texts: Sequence[str]) -> PortOp:
    """One operation on ports, checked. Raises `UsageError`."""
    command = PortOp(op, parse_ports(texts))
    _checked(command)
    return command


def multiple(pairs: Sequence[str]) -> Multiple:
    """`lock=1,2 switch=3.02` as one command. Raises `UsageError`."""
    ops: list[PortOp] = []
    for pair in pairs:
        name, equals, ports = pair.partition("=")
        if not equals or name not in ("lock", "unlock", "switch", "reset"):
            raise UsageError(f"{pair!r}: write lock=1,2 unlock=3 switch=4.02 or reset=5")
        ops.append(port_op(Op(name), [ports]))
    command = Multiple(tuple(ops))
    _checked(command)
    return command


def _checked(command: Command) -> None:
    try:
        check_command(command)
    except LocalProtocolError as error:
        raise UsageError(str(error)) from error


def our_tasks(site: Site, name: str) -> int:
    """How many unfinished tasks of ours the device holds, as far as the ledger knows."""
    row = registered(site, name)
    states = (TaskState.INTENT, TaskState.DOUBT, TaskState.ACCEPTED, TaskState.PAUSED)
    return len(read(site, live_tasks, row.id, states))


async def operate(
    site: Site,
    name: str,
    command: Command,
    *,
    wait: float | None = DEFAULT_WAIT,
    auto_fail_sim_switch: bool | None = None,
) -> Outcome:
    """Send a command and follow it for `wait` seconds (None: do not).

    Raises `UsageError` for a port or slot the device does not have, before anything is sent;
    `GatewayError` when it cannot be reached or refuses.
    """
    row = registered(site, name)
    async with reach(site, row) as device:
        before = await device.console.snapshot(all_sims=False)
        check_places(name, _named_ports(command), before)
        boot = await _boot(device) if command == REBOOT else None
        began = site.env.monotonic()
        watcher = Watcher(site, row, device)
        answer = await device.console.command(
            command, notation_of(before, row), auto_fail_sim_switch=auto_fail_sim_switch
        )
        outcome = Outcome(name, answer.reason, _results(command, before))
        if wait is not None:
            if command == REBOOT:
                outcome.boot_id = await _new_boot(device, boot, wait)
                outcome.rebooted = outcome.boot_id is not None
            elif outcome.ports:
                await follow(watcher, outcome.ports, before, wait)
        outcome.seconds = site.env.monotonic() - began
        return outcome


def notation_of(status: DevStatus, row: GatewayRow) -> Notation:
    """How this device spells ports: as it just did, as it once did, or as specification 2.0."""
    return status.notation or row.device.notation or "letter"


def check_places(name: str, ports: Iterable[Port], status: DevStatus) -> None:
    """Refuse ports and slots a device does not have: `UsageError` that says what it has."""
    highest = status.max_ports or max((state.port.number for state in status.ports), default=0)
    slots = status.max_slots
    for port in ports:
        if highest and port.number > highest:
            raise UsageError(f"{name} has no port {port.number}: its ports are 1-{highest}")
        if slots and port.slot is not None and port.pool is None and port.slot > slots:
            raise UsageError(
                f"{name} has no SIM slot {port}: its ports have {slots} slot{'s' * (slots > 1)}"
            )


def _named_ports(command: Command) -> list[Port]:
    return [
        port for one in _port_ops(command) if isinstance(one.ports, tuple) for port in one.ports
    ]


def _port_ops(command: Command) -> tuple[PortOp, ...]:
    match command:
        case PortOp():
            return (command,)
        case Multiple(ops):
            return ops
        case DeviceOp():
            return ()


def _results(command: Command, before: DevStatus) -> list[PortResult]:
    numbers = [state.port.number for state in active_slots(before.ports)]
    return [
        PortResult(port, one.op)
        for one in _port_ops(command)
        for port in (map(Port, numbers) if isinstance(one.ports, AllPorts) else one.ports)
    ]


async def _boot(device: Device) -> str:
    return (await device.boot_id()).page.ssrc


async def _new_boot(device: Device, before: str | None, wait: float) -> str | None:
    with trio.move_on_after(wait):
        while True:
            try:
                boot = await _boot(device)
                if boot and boot != before:
                    return boot
            except (GatewayError, RemoteProtocolError):
                pass  # it is on its way down or up
            await trio.sleep(LOOK_SECONDS)
    return None


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """What a command prints with --json."""
    return {
        "name": outcome.name,
        "reason": outcome.reason,
        "seconds": round(outcome.seconds, 1),
        "in_time": outcome.in_time,
        "boot_id": outcome.boot_id,
        "ports": [
            {
                "op": str(result.op),
                "port": str(result.port),
                "reached": result.reached,
                "code": None if result.state is None else result.state.code,
                "status": result.words,
                "now": None if result.state is None else str(result.state.port),
            }
            for result in outcome.ports
        ],
    }
