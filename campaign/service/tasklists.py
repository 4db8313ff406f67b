"""The tasks a device still lists as waiting (spec §6.3.6), and taking ours back."""

from __future__ import annotations

import getpass
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from campaign.engine.runtime import Run
from campaign.engine.verbs import perform
from campaign.errors import LedgerHeld
from campaign.planner.states import TaskState
from campaign.protocol.messages import QueuedTask
from campaign.protocol.ports import Port
from campaign.service.gateways import registered
from campaign.service.ledger import change, read
from campaign.service.locks import FileLock
from campaign.service.operating import check_places
from campaign.service.outcome import Screen
from campaign.service.program import run_job
from campaign.service.reaching import reach
from campaign.service.site import Site
from campaign.store.tasks import live_tasks, owners

_BACK = (TaskState.FENCING, TaskState.FENCED)


@dataclass(frozen=True)
class Waiting:
    """One waiting task; `campaign` None: another system's."""

    task: QueuedTask
    campaign: str | None


@dataclass(frozen=True)
class TakenBack:
    """What became of our tasks: `asked` were waiting or under way, `left` are still looked after;
    by then their recipients wait again, or are unknown where nothing was proved."""

    asked: tuple[int, ...]
    left: int


async def waiting_tasks(site: Site, name: str, ports: Sequence[int]) -> list[Waiting]:
    """Every waiting task of a device (on these ports), read until the list is stable."""
    row = registered(site, name)
    async with reach(site, row) as device:
        status = await device.console.snapshot(all_sims=False)
        check_places(name, map(Port, ports), status)
        every = sorted({state.port.number for state in status.ports})
        sweep = await device.waiting_tasks(ports or every)
    tids = [task.tid for task in sweep.tasks]
    known = read(site, owners, row.id, tids)
    return [Waiting(task, known.get(task.tid)) for task in sweep.tasks]


async def take_back(site: Site, name: str, screen: Screen) -> TakenBack:
    """Take our own tasks back: paused, listed, removed, and their outcome proved as far as it can
    be. A running engine does it; without one a short run of it does, which sends nothing.
    """
    row = registered(site, name)
    parameters = {"name": name, "by": f"operator {getpass.getuser()}"}
    lock = FileLock(site.paths.lock)
    if not lock.acquire():
        answer = await change(site, "gateway-evict", parameters)
        return TakenBack(tuple(answer["tids"]), len(answer["tids"]))
    asked: list[int] = []

    async def job(run: Run) -> None:
        # through the same verb, inside this run's epoch
        from_verb = await run.write(_evict, run.now_ms(), parameters)
        asked.extend(from_verb)
        gateway = run.gateways.get(row.id)
        if gateway is None:
            return
        gateway.duties.ring()
        while True:
            mark = run.changed.mark()
            if not await run.store.read(live_tasks, row.id, _BACK):
                return
            await run.changed.wait(mark, run.env.monotonic() + 1.0)

    try:
        await run_job(site, screen, job)
    finally:
        lock.release()
    return TakenBack(tuple(asked), len(read(site, live_tasks, row.id, _BACK)))


def _evict(conn: sqlite3.Connection, now_ms: int, parameters: dict[str, str]) -> list[int]:
    tids: list[int] = perform(conn, now_ms, "gateway-evict", parameters)["tids"]
    return tids


async def remove_everything(site: Site, name: str) -> str:
    """Remove every task of a device, other systems' too. Raises `LedgerHeld` while an engine runs:
    it would take what vanishes for lost."""
    row = registered(site, name)
    lock = FileLock(site.paths.lock)
    if not lock.acquire():
        raise LedgerHeld(
            f"a campaign runs on {site.paths.db}: end it first, or take back only its own tasks"
            " (without --all)"
        )
    try:
        async with reach(site, row) as device:
            return (await device.console.remove_all()).answer.reason
    finally:
        lock.release()
