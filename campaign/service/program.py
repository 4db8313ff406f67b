"""The running program: launch and resume, from the lock to the last process that ends.

Who must die last is opened first: lock, ledger, simulated gateways, receiver, inbox, engine.
"""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import trio

from campaign.engine.engine import run_engine, stop_gracefully
from campaign.engine.intake import LaunchRequest, intake
from campaign.engine.lifecycle import Ended, snapshot
from campaign.engine.runtime import Run
from campaign.engine.standing import stand, take_up
from campaign.engine.trial import own_numbers
from campaign.errors import CampaignError, LedgerHeld, NothingToDo, UsageError
from campaign.gateway.client import Device
from campaign.lists.reader import open_list
from campaign.planner.settings import Settings
from campaign.planner.states import CampaignState, RecipientState
from campaign.service.addresses import check_addresses
from campaign.service.devices import device_of
from campaign.service.following import follow_remote, hand_over, lift_remote
from campaign.service.garbage import collected_rarely
from campaign.service.ledger import held, read, read_any_version
from campaign.service.locks import FileLock, is_held
from campaign.service.outcome import Result, Screen, beside, final_object
from campaign.service.processes import ReceiverAddress, ensure_receiver
from campaign.service.simulated import Simulation, end_idle_fleet, start_fleet
from campaign.service.site import Site
from campaign.service.sources import Network
from campaign.service.supervised import keep_alive, ready
from campaign.store.alarms import lift_alarms
from campaign.store.campaigns import (
    CampaignRow,
    counts,
    find_campaign,
    get_campaign,
    list_campaigns,
)
from campaign.store.door import ThreadStore
from campaign.store.gateways import GatewayRow, list_gateways
from campaign.store.health import missing_migrations
from campaign.store.inbox import InboxReader
from campaign.store.lineage import refuse_old
from campaign.store.opening import open_ledger

_SHOW_EVERY = 0.25
_RECEIVER_LOOK = 2.0
_RECEIVER_TRIES = 3
_OVER = (CampaignState.FINISHED, CampaignState.CANCELLED)


async def launch(
    site: Site,
    request: LaunchRequest,
    screen: Screen,
    *,
    listen: tuple[str, int] | None = None,
    public_url: str | None = None,
    allow: Sequence[Network] | None = None,
    simulation: Simulation | None = None,
    attach: bool = True,
) -> Result:
    """Import a list and send it, here or through the engine that holds the ledger."""
    _check_request(site, request)
    lock = FileLock(site.paths.lock)
    if not lock.acquire():
        if not attach:
            raise LedgerHeld(f"{site.paths.db} is held by a running engine (--no-attach)")
        return await hand_over(site, request, screen, simulation)

    async def job(run: Run) -> None:
        campaign = await intake(run, request, screen.imported)
        if campaign.state is not CampaignState.SCHEDULED:  # its start was announced
            screen.notice(f"campaign {campaign.name} runs")

    try:
        return await _run(
            site, screen, job, lambda: [request.name], (listen, public_url, allow), simulation
        )
    finally:
        lock.release()


def _check_request(site: Site, request: LaunchRequest) -> None:
    """What can be told before anything is started is told before anything is started."""
    request.options.check()
    own_numbers(request.options)
    options = request.options
    with open_list(
        Path(request.path), request.list_name,
        region=options.region, phone_column=options.phone_column,
    ):  # fmt: skip
        pass
    # a ledger of an earlier version is migrated by the run itself, which looks for the name again
    current = site.paths.db.exists() and not read_any_version(site, missing_migrations)
    taken = current and read(site, find_campaign, request.name)
    if taken and taken.state is not CampaignState.IMPORTING:
        raise UsageError(f"a campaign named {request.name!r} exists already: choose another --name")


async def resume(
    site: Site,
    name: str | None,
    screen: Screen,
    *,
    listen: tuple[str, int] | None = None,
    public_url: str | None = None,
    allow: Sequence[Network] | None = None,
    attach: bool = True,
) -> Result:
    """Recover the ledger and go on with one or all interrupted campaigns."""
    lock = FileLock(site.paths.lock)
    if not lock.acquire():
        if not attach:
            raise LedgerHeld(f"{site.paths.db} is held by a running engine (--no-attach)")
        await lift_remote(site)
        return await follow_remote(site, name, screen)
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
            campaign = take_up(run, row)
            if campaign.state is CampaignState.WAITING:
                campaign.state = CampaignState.RUNNING  # its alarm was just lifted

    try:
        return await _run(site, screen, job, lambda: names, (listen, public_url, allow), None)
    finally:
        lock.release()


async def serve(
    site: Site,
    screen: Screen,
    *,
    listen: tuple[str, int] | None = None,
    public_url: str | None = None,
    allow: Sequence[Network] | None = None,
) -> Result:
    """Stand as a service: go on with every open campaign, take over what is launched, and end by a
    signal only.

    Raises `LedgerHeld` where another engine runs.
    """
    lock = FileLock(site.paths.lock)
    if not lock.acquire():
        raise held(site)

    async def job(run: Run) -> None:
        stand(run, await run.store.read(_resumable, None))
        run.notice(f"serving {site.paths.db}: {len(run.targets)} campaigns to go on with")
        ready()

    try:
        return await _run(
            site, screen, job, list, (listen, public_url, allow), None, beside_it=keep_alive
        )
    finally:
        lock.release()


async def run_job(site: Site, screen: Screen, job: Callable[[Run], Awaitable[None]]) -> None:
    """A short engine run for one job, with no campaign to send for: it recovers the ledger, looks
    after what is in flight while the job lasts, and ends. The caller holds the lock."""
    await _run(site, screen, job, list, (None, None, None), None)


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
    door: tuple[tuple[str, int] | None, str | None, Sequence[Network] | None],
    simulation: Simulation | None,
    beside_it: Callable[[Run], Awaitable[None]] | None = None,
) -> Result:
    """`door` is how the receiver is to be had: address, public URL, whom it hears. `beside_it` runs
    as long as the engine; by default it shows how far it is."""
    listen, public_url, allow = door
    began = site.env.monotonic()
    with closing(open_ledger(site.paths.db, site.optouts)) as conn, collected_rarely():
        async with ThreadStore(conn) as store:
            await store.read(refuse_old)
            await start_fleet(site, store, screen.notice, simulation)
            check_addresses(site, await store.read(list_gateways), listen, public_url)
            receiver = await ensure_receiver(site.paths, listen, public_url, allow=allow)
            try:
                with closing(InboxReader.open(site.paths.inbox)) as inbox:
                    run = _new_run(site, store, inbox, receiver, screen)
                    ended, interrupted = await _drive(
                        site, run, job, screen, beside_it or partial(_show, screen)
                    )
            except CampaignError:
                await end_idle_fleet(store)
                raise
            # an import that was interrupted may have left nothing
            found = [await store.read(find_campaign, name) for name in names()]
            rows = [row for row in found if row is not None]
            objects = [await store.read(final_object, row, site.env.wall()) for row in rows]
            for campaign in objects:
                campaign["seconds"] = round(site.env.monotonic() - began, 1)
            if not interrupted and not ended.waiting:
                await end_idle_fleet(store)
    return Result(objects, interrupted, ended.waiting, ended.refused)


def _new_run(
    site: Site, store: ThreadStore, inbox: InboxReader, receiver: ReceiverAddress, screen: Screen
) -> Run:
    def connect(row: GatewayRow, settings: Settings) -> Device:
        return device_of(site, row, settings)

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
    site: Site,
    run: Run,
    job: Callable[[Run], Awaitable[None]],
    screen: Screen,
    beside_it: Callable[[Run], Awaitable[None]],
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

    async with beside() as nursery:
        nursery.start_soon(on_signal, nursery.cancel_scope)
        nursery.start_soon(_keep_receiver, site, screen)
        nursery.start_soon(beside_it, run)
        ended = await run_engine(run, job, control=site.paths.socket)
    return ended, interrupted


async def _show(screen: Screen, run: Run) -> None:
    while True:
        await trio.sleep(_SHOW_EVERY)
        screen.progress(await snapshot(run))


async def _keep_receiver(site: Site, screen: Screen) -> None:
    """A receiver that was killed is started again, on its port.

    Where that cannot be, the run ends with a `CampaignError`: nobody would hear what is sent.
    """
    tries = 0
    while True:
        await trio.sleep(_RECEIVER_LOOK)
        if is_held(site.paths.inbox_lock):
            tries = 0
            continue
        screen.notice("the receiver ended: starting it again")
        tries += 1
        try:
            await ensure_receiver(site.paths)
        except CampaignError as error:
            if tries < _RECEIVER_TRIES and not isinstance(error, UsageError):
                continue  # whatever killed it may just have killed its successor
            raise CampaignError(f"the receiver cannot be started again: {error}") from error
