"""The running program: launch and resume, from the lock to the last process that ends.

Who must die last is opened first: lock, ledger, simulated gateways, receiver, inbox, engine.
"""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec
import trio

from campaign.engine.engine import run_engine, stop_gracefully
from campaign.engine.intake import LaunchRequest, intake
from campaign.engine.lifecycle import Ended, snapshot
from campaign.engine.recover import lift_alarms
from campaign.engine.runtime import Campaign, Run
from campaign.engine.verbs import Parameters, perform
from campaign.errors import CampaignError, LedgerHeld, NothingToDo
from campaign.gateway.client import Device
from campaign.lists.reader import open_list
from campaign.planner.settings import Settings
from campaign.planner.states import CampaignState, RecipientState
from campaign.service.addresses import check_addresses
from campaign.service.ledger import ask, read
from campaign.service.locks import FileLock, is_held
from campaign.service.processes import ReceiverAddress, ensure_receiver
from campaign.service.secrets import find_password
from campaign.service.simulated import end_simulated, revive, start_simulated
from campaign.service.site import Site
from campaign.store.campaigns import (
    CampaignRow,
    counts,
    get_campaign,
    list_campaigns,
)
from campaign.store.door import ThreadStore
from campaign.store.gateways import GatewayRow, list_gateways, update_gateway
from campaign.store.inbox import InboxReader
from campaign.store.opening import open_ledger
from campaign.store.summary import campaign_object, incidents
from campaign.store.tasks import any_live_task

_SHOW_EVERY = 0.25
_RECEIVER_LOOK = 2.0
_ENDING = 10.0
"""Seconds an engine may take from closing its control socket to giving up its lock."""
_OVER = (CampaignState.FINISHED, CampaignState.CANCELLED)
_ENDED = (*_OVER, CampaignState.WAITING)


class Screen(Protocol):
    """Where a run talks to: a terminal, plain lines, or nothing."""

    def notice(self, line: str) -> None:
        """One thing that happened, in words."""

    def imported(self, rows: int, refused: int) -> None:
        """The import came this far."""

    def progress(self, state: dict[str, Any]) -> None:
        """Campaigns and gateways now, as the engine's `status` answers."""


@dataclass(frozen=True)
class Simulation:
    """Simulated gateways to start with a launch: how many, and `simulate` arguments for each."""

    count: int
    arguments: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)
    per_gateway: tuple[tuple[str, ...], ...] = ()
    """Further arguments of the first, second … gateway."""


@dataclass(frozen=True)
class Result:
    """How a command that ran campaigns ended: campaign objects as `launch --json` shows them."""

    campaigns: list[dict[str, Any]]
    interrupted: bool = False
    waiting: dict[str, str] = field(default_factory=dict)
    credentials: bool = False


async def launch(
    site: Site,
    request: LaunchRequest,
    screen: Screen,
    *,
    listen: tuple[str, int] | None = None,
    public_url: str | None = None,
    simulation: Simulation | None = None,
    attach: bool = True,
) -> Result:
    """Import a list and send it, here or through the engine that holds the ledger."""
    request.options.check()
    with open_list(
        Path(request.path), request.list_name, region=request.options.region,
        phone_column=request.options.phone_column,
    ):  # fmt: skip
        pass  # a list that cannot be read is told before anything is started
    lock = FileLock(site.paths.lock)
    if not lock.acquire():
        if not attach:
            raise LedgerHeld(f"{site.paths.db} is held by a running engine (--no-attach)")
        return await _hand_over(site, request, screen, simulation)

    async def job(run: Run) -> None:
        campaign = await intake(run, request, screen.imported)
        screen.notice(f"campaign {campaign.name} runs")

    try:
        return await _run(site, screen, job, lambda: [request.name], listen, public_url, simulation)
    finally:
        lock.release()


async def resume(
    site: Site,
    name: str | None,
    screen: Screen,
    *,
    listen: tuple[str, int] | None = None,
    public_url: str | None = None,
    attach: bool = True,
) -> Result:
    """Recover the ledger and go on with one or all interrupted campaigns."""
    lock = FileLock(site.paths.lock)
    if not lock.acquire():
        if not attach:
            raise LedgerHeld(f"{site.paths.db} is held by a running engine (--no-attach)")
        return await _follow_remote(site, name, screen)
    names: list[str] = []

    async def job(run: Run) -> None:
        rows = await run.store.read(_resumable, name)
        if not rows:
            raise NothingToDo(
                f"campaign {name} is over: nothing to resume" if name else "nothing to resume"
            )
        await run.store.write(lift_alarms, rows)
        for row in rows:
            names.append(row.name)
            campaign = run.campaigns.setdefault(row.id, Campaign.from_row(row))
            run.targets.add(campaign.id)
            screen.notice(f"campaign {row.name} goes on")

    try:
        return await _run(site, screen, job, lambda: names, listen, public_url, None)
    finally:
        lock.release()


def _resumable(conn: sqlite3.Connection, name: str | None) -> list[CampaignRow]:
    rows = [get_campaign(conn, name)] if name else list_campaigns(conn)
    return [
        row
        for row in rows
        if row.state not in _OVER or counts(conn, row.id)[RecipientState.ASSIGNED]
    ]


async def _run(
    site: Site,
    screen: Screen,
    job: Callable[[Run], Awaitable[None]],
    names: Callable[[], Sequence[str]],
    listen: tuple[str, int] | None,
    public_url: str | None,
    simulation: Simulation | None,
) -> Result:
    began = site.env.monotonic()
    with closing(open_ledger(site.paths.db, site.optouts)) as conn:
        async with ThreadStore(conn) as store:
            await _simulated(site, store, screen, simulation)
            check_addresses(site, await store.read(list_gateways), listen, public_url)
            receiver = await ensure_receiver(site.paths, listen, public_url)
            try:
                with closing(InboxReader.open(site.paths.inbox)) as inbox:
                    run = _new_run(site, store, inbox, receiver, screen)
                    ended, interrupted = await _drive(site, run, job, screen)
            except CampaignError:
                await _end_idle_simulated(store)
                raise
            rows = [await store.read(get_campaign, name) for name in names()]
            objects = [await store.read(_final_object, row, site.env.wall()) for row in rows]
            for campaign in objects:
                campaign["seconds"] = round(site.env.monotonic() - began, 1)
            if not interrupted and not ended.waiting:
                await _end_idle_simulated(store)
    return Result(objects, interrupted, ended.waiting, ended.refused)


def _final_objects(
    conn: sqlite3.Connection, name: str | None, now: datetime
) -> list[dict[str, Any]]:
    rows = [get_campaign(conn, name)] if name else list_campaigns(conn)
    return [_final_object(conn, row, now) for row in rows]


def _final_object(conn: sqlite3.Connection, row: CampaignRow, now: datetime) -> dict[str, Any]:
    return {**campaign_object(conn, row.with_hold(now)), "incidents": incidents(conn, row.id)}


def _new_run(
    site: Site, store: ThreadStore, inbox: InboxReader, receiver: ReceiverAddress, screen: Screen
) -> Run:
    def connect(row: GatewayRow, settings: Settings) -> Device:
        password = find_password(site.paths.secrets, row.name, row.secret)
        return Device(
            row.name, row.url, row.username, password,
            timeout=settings.client_timeout, ca_file=row.ca_file,
        )  # fmt: skip

    return Run(
        env=site.env,
        store=store,
        inbox=inbox,
        optouts=site.optouts,
        connect=connect,
        push_url=lambda row: f"{receiver.base_url}/p/{row.token}",
        notice=screen.notice,
    )


async def _drive(
    site: Site, run: Run, job: Callable[[Run], Awaitable[None]], screen: Screen
) -> tuple[Ended, bool]:
    """Run the engine beside its screen, its signals and its receiver's keeper."""
    ended, interrupted = Ended(), False

    async def on_signal(scope: trio.CancelScope) -> None:
        nonlocal interrupted
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                interrupted = True
                screen.notice("stopping: what is on the wire is finished first")
                await stop_gracefully(run, scope)
                return

    async with _beside() as nursery:
        nursery.start_soon(on_signal, nursery.cancel_scope)
        nursery.start_soon(_keep_receiver, site, screen)
        nursery.start_soon(_show, run, screen)
        ended = await run_engine(run, job, control=site.paths.socket)
    return ended, interrupted


@asynccontextmanager
async def _beside() -> AsyncIterator[trio.Nursery]:
    """A nursery whose children end with its body, and whose body's error comes out as it is."""
    failure: BaseException | None = None
    async with trio.open_nursery() as nursery:
        try:
            yield nursery
        except Exception as error:  # noqa: BLE001 - raised again below, outside the nursery's group
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _show(run: Run, screen: Screen) -> None:
    while True:
        await trio.sleep(_SHOW_EVERY)
        screen.progress(await snapshot(run))


async def _keep_receiver(site: Site, screen: Screen) -> None:
    """A receiver that was killed is started again, on its port."""
    while True:
        await trio.sleep(_RECEIVER_LOOK)
        if not is_held(site.paths.inbox_lock):
            screen.notice("the receiver ended: starting it again")
            await ensure_receiver(site.paths)


async def _simulated(
    site: Site, store: ThreadStore, screen: Screen, simulation: Simulation | None
) -> None:
    rows = await store.read(list_gateways)
    for row in rows:
        revived = await revive(row)
        if revived is not None:
            await store.write(update_gateway, row.id, simulated=revived)
            screen.notice(f"simulated gateway {row.name} is started again")
    for parameters in await _start_wanted(site, rows, simulation):
        await store.write(perform, site.env.wall_ms(), "gateway-add", parameters)
        screen.notice(f"simulated gateway {parameters['name']} at {parameters['url']}")


async def _start_wanted(
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
    there = {row.name for row in rows}
    extra = (*simulation.per_gateway, *([()] * simulation.count))
    return [
        (f"sim{i}", (*simulation.arguments, *extra[i - 1]))
        for i in range(1, simulation.count + 1)
        if f"sim{i}" not in there
    ]


async def _end_idle_simulated(store: ThreadStore) -> None:
    """Simulated gateways end with the last campaign that may still need them."""
    if await store.read(any_live_task):
        return
    rows = await store.read(list_campaigns)
    if all(row.state in _OVER for row in rows):
        await end_simulated(await store.read(list_gateways))


async def _hand_over(
    site: Site, request: LaunchRequest, screen: Screen, simulation: Simulation | None
) -> Result:
    """Give the list to the engine that holds the ledger, then follow it."""
    if simulation is not None:
        rows = await _registered(site)
        for parameters in await _start_wanted(site, rows, simulation):
            await ask(site, {"cmd": "do", "verb": "gateway-add", "parameters": dict(parameters)})
    screen.notice("another engine runs on this ledger: the list is handed over to it")
    command = {"cmd": "launch", "request": msgspec.to_builtins(request)}
    answer = await ask(site, command, seconds=3600.0)
    screen.imported(answer["recipients"], answer["refused"])
    return await _follow_remote(site, request.name, screen)


async def _registered(site: Site) -> list[GatewayRow]:
    return read(site, list_gateways)


async def _engine_ends(site: Site) -> bool:
    """Whether an engine that no longer answers is about to end, and has ended now."""
    with trio.move_on_after(_ENDING):
        while is_held(site.paths.lock):  # noqa: ASYNC110 - a lock of another process has no event
            await trio.sleep(0.05)
        return True
    return False


async def _follow_remote(site: Site, name: str | None, screen: Screen) -> Result:
    """Show what the running engine does until the campaigns asked for have ended.

    Interrupted, only the view ends: the engine goes on.
    """
    began = site.env.monotonic()
    interrupted = False

    async def on_signal(scope: trio.CancelScope) -> None:
        nonlocal interrupted
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                interrupted = True
                screen.notice("no longer following; the running engine goes on")
                scope.cancel()

    async with _beside() as nursery:
        nursery.start_soon(on_signal, nursery.cancel_scope)
        while True:
            try:
                state = await ask(site, {"cmd": "status", "name": name})
            except LedgerHeld:
                if not await _engine_ends(site):
                    raise
                break  # between two looks; the ledger says how far it came
            screen.progress(state)
            if all(campaign["state"] in _ENDED for campaign in state["campaigns"]):
                break
            await trio.sleep(_SHOW_EVERY)
    objects = read(site, _final_objects, name, site.env.wall())
    left = [campaign["name"] for campaign in objects if campaign["state"] not in _ENDED]
    if left and not interrupted and not is_held(site.paths.lock):
        raise CampaignError(
            f"the engine that was followed has ended before {', '.join(left)}: campaign resume"
        )
    for campaign in objects:
        campaign["seconds"] = round(site.env.monotonic() - began, 1)
    waiting = {c["name"]: c["waiting_for"] for c in objects if c["state"] == CampaignState.WAITING}
    return Result(objects, interrupted, waiting)
