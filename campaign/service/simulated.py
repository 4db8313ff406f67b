"""Simulated gateways of a ledger: detached processes, registered, adopted after a crash."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import trio

from campaign.engine.verbs import Parameters, perform
from campaign.errors import UsageError
from campaign.planner.states import CampaignState
from campaign.service.processes import spawn_simulator
from campaign.service.secrets import STORED, store_password
from campaign.service.site import Site
from campaign.store.campaigns import list_campaigns
from campaign.store.door import Store
from campaign.store.gateways import GatewayRow, list_gateways, update_gateway
from campaign.store.tasks import any_live_task

_PASSWORD = "root"  # noqa: S105 - a simulated device's, not a secret


@dataclass(frozen=True)
class Simulation:
    """Simulated gateways to start with a launch: how many, and `simulate` arguments for each."""

    count: int
    arguments: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)
    per_gateway: tuple[tuple[str, ...], ...] = ()
    """Further arguments of the first, second … gateway."""
    insist: bool = False
    """Refuse gateways that are there already with other arguments."""


@dataclass(frozen=True)
class Simulated:
    """How to start one simulated gateway again, as the ledger keeps it."""

    arguments: tuple[str, ...]
    log: str
    pid: int

    def encode(self) -> str:
        return json.dumps({"arguments": self.arguments, "log": self.log, "pid": self.pid})

    @classmethod
    def decode(cls, text: str) -> Simulated:
        values: dict[str, Any] = json.loads(text)
        return cls(tuple(values["arguments"]), values["log"], values["pid"])


async def start_simulated(
    site: Site, name: str, arguments: Sequence[str], settings: dict[str, str]
) -> Parameters:
    """Start a simulated gateway; returns what `gateway-add` needs to register it.

    Its ground truth is written beside the ledger as `<ledger>.<name>.truth.jsonl`.
    """
    stem = site.paths.db.with_suffix("").name
    folder = site.paths.db.parent
    folder.mkdir(parents=True, exist_ok=True)
    truth, log = folder / f"{stem}.{name}.truth.jsonl", folder / f"{stem}.{name}.log"
    full = ("--set", f"name={name}", "--ledger", str(truth), *arguments)
    spawned = await spawn_simulator(_command("127.0.0.1:0", full), log)
    store_password(site.paths.secrets, name, _PASSWORD)
    return {
        "name": name,
        "url": spawned.url,
        "username": "root",
        "secret": STORED,
        "token": site.env.nonce(16),
        "settings": settings,
        "simulated": Simulated(full, str(log), spawned.pid).encode(),
    }


async def revive(row: GatewayRow) -> str | None:
    """Start a registered simulated gateway again unless it runs; its new `simulated` value.

    One that an engine started again, and died before that was written, holds its port: it is found
    by its command line and adopted.
    """
    if row.simulated is None:
        return None
    simulated = Simulated.decode(row.simulated)
    if is_simulator(simulated.pid):
        return None
    address = urlsplit(row.url)
    command = _command(f"{address.hostname}:{address.port}", simulated.arguments)
    pid = _running(command)
    if pid is None:
        pid = (await spawn_simulator(command, Path(simulated.log))).pid
    return Simulated(simulated.arguments, simulated.log, pid).encode()


async def end_simulated(rows: Sequence[GatewayRow]) -> None:
    """End the simulated gateways among these, and wait until they are gone."""
    pids = [Simulated.decode(row.simulated).pid for row in rows if row.simulated is not None]
    for pid in pids:
        if is_simulator(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
    with trio.move_on_after(5):
        while any(is_simulator(pid) for pid in pids):  # noqa: ASYNC110 - processes have no event
            await trio.sleep(0.05)


def is_simulator(pid: int) -> bool:
    """Whether this pid is a simulated gateway of ours (pids are used again)."""
    words = _command_line(pid)
    return b"simulate" in words and b"campaign" in words


def _running(command: Sequence[str]) -> int | None:
    """The process with exactly this command line, if there is one."""
    sought = [os.fsencode(word) for word in command]
    pids = (int(place.name) for place in Path("/proc").iterdir() if place.name.isdigit())
    return next((pid for pid in pids if _command_line(pid) == sought), None)


def _command_line(pid: int) -> list[bytes]:
    """A process's words; none if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
    except OSError:
        return []


def _command(listen: str, arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "campaign", "simulate", "--listen", listen, *arguments]


async def start_fleet(
    site: Site, store: Store, notice: Callable[[str], None], simulation: Simulation | None
) -> None:
    """Revive the simulated gateways of this ledger, and add those that are wanted."""
    rows = await store.read(list_gateways)
    for row in rows:
        revived = await revive(row)
        if revived is not None:
            await store.write(update_gateway, row.id, simulated=revived)
            notice(f"simulated gateway {row.name} is started again")
    for parameters in await start_wanted(site, rows, simulation):
        await store.write(perform, site.env.wall_ms(), "gateway-add", parameters)
        notice(f"simulated gateway {parameters['name']} at {parameters['url']}")


async def start_wanted(
    site: Site, rows: Sequence[GatewayRow], simulation: Simulation | None
) -> list[Parameters]:
    """Start the simulated gateways that are not there yet, all at once."""
    if simulation is None:
        return []
    started: dict[str, Parameters] = {}

    async def start(name: str, arguments: tuple[str, ...], settings: dict[str, str]) -> None:
        started[name] = await start_simulated(site, name, arguments, settings)

    wanted = _wanted(rows, simulation)
    async with trio.open_nursery() as nursery:
        for name, arguments in wanted:
            nursery.start_soon(start, name, arguments, simulation.settings)
    return [started[name] for name, _ in wanted]


def _wanted(
    rows: Sequence[GatewayRow], simulation: Simulation
) -> list[tuple[str, tuple[str, ...]]]:
    there = {row.name: row for row in rows}
    extra = (*simulation.per_gateway, *([()] * simulation.count))
    wanted: list[tuple[str, tuple[str, ...]]] = []
    for i in range(1, simulation.count + 1):
        name, arguments = f"sim{i}", (*simulation.arguments, *extra[i - 1])
        if name not in there:
            wanted.append((name, arguments))
        elif simulation.insist and not _made_with(there[name], arguments):
            raise UsageError(
                f"{name} is there already with other settings: campaign gateway remove {name},"
                " or launch without --simulate-set"
            )
    return wanted


def _made_with(row: GatewayRow, arguments: tuple[str, ...]) -> bool:
    """Whether a registered simulated gateway was started with these very arguments."""
    if row.simulated is None:
        return False
    known = Simulated.decode(row.simulated).arguments
    return known[len(known) - len(arguments) :] == arguments


async def end_idle_fleet(store: Store) -> None:
    """Simulated gateways end with the last campaign that may still need them."""
    if await store.read(any_live_task):
        return
    rows = await store.read(list_campaigns)
    if all(row.state in (CampaignState.FINISHED, CampaignState.CANCELLED) for row in rows):
        await end_simulated(await store.read(list_gateways))
