"""Watching a device: its ports, its restarts, and tasks that fall silent."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from campaign.engine.device import Gateway
from campaign.engine.fetching import fetch_if_there
from campaign.engine.runtime import Run
from campaign.engine.sampling import sample_if_due
from campaign.engine.steer import is_to_rest, steer_gateway
from campaign.engine.subscribing import subscribe_if_due
from campaign.errors import GatewayError, RemoteProtocolError
from campaign.gateway.answers import Sweep
from campaign.planner.states import FenceReason, TaskState
from campaign.protocol.messages import DevStatus, PortState
from campaign.store.gateways import keep_status, update_gateway
from campaign.store.journal import decide, keep_evidence
from campaign.store.sims import store_states
from campaign.store.tasks import (
    TaskRow,
    adopt_boot,
    get_tasks,
    live_tasks,
    mark_news,
    start_fence,
)

_SUSPECT = (TaskState.ACCEPTED, TaskState.PAUSED, TaskState.DOUBT)


async def watch(run: Run, gateway: Gateway) -> None:
    """Read the device every `status-period`; look after silence as often as it may begin."""
    last = run.env.monotonic()
    while True:
        mark = gateway.bell.mark()
        settings = run.settings_now(gateway)
        due = last + min(settings.status_period, max(0.5, settings.push_silence / 3))
        if run.env.monotonic() < due and not gateway.look:
            await gateway.bell.wait(mark, due)  # a campaign that comes may ask for shorter times
            continue
        last = run.env.monotonic()
        gateway.look = False
        if gateway.ready:
            if not gateway.is_old:  # the old interface tells nothing to look at
                await _look(run, gateway)
            for campaign in list(run.campaigns.values()):
                await steer_gateway(run, gateway, campaign)
        await _find_silent(run, gateway)


async def _look(run: Run, gateway: Gateway) -> None:
    try:
        status = await gateway.device.status()
        fetched = await fetch_if_there(run, gateway)
    except (GatewayError, RemoteProtocolError):
        return  # the dispatcher notices when it matters; a quiet device is no news
    new_boot = fetched.boot or None if fetched is not None else None
    states = await run.write(keep_look, run.now_ms(), gateway.id, status, new_boot)
    before = {port.number: port.usable for port in gateway.ports.values()}
    run.learn_ports(gateway, states)
    for port in gateway.ports.values():
        if before.get(port.number, port.usable) != port.usable:
            word = "can send again" if port.usable else f"cannot send ({port.status})"
            run.notice(f"{gateway.name} port {port.number} {word}")
            run.stands_otherwise(gateway)
    gateway.duties.ring()
    restarted = new_boot is not None and gateway.boot_id not in (None, new_boot)
    if restarted and new_boot is not None:
        run.notice(f"{gateway.name} has restarted")
        gateway.boot_id = new_boot
        await after_restart(run, gateway, new_boot)
    gateway.boot_id = new_boot or gateway.boot_id
    await subscribe_if_due(run, gateway)
    await sample_if_due(run, gateway)
    run.ring([gateway])


def keep_look(
    conn: sqlite3.Connection,
    now_ms: int,
    gateway_id: int,
    status: DevStatus,
    boot: str | None,
) -> list[PortState]:
    """Store what a status query told; returns the states of whole ports."""
    keep_status(conn, gateway_id, status)
    update_gateway(conn, gateway_id, boot_id=boot)
    return store_states(conn, now_ms, gateway_id, boot, status.ports, "poll")


async def after_restart(run: Run, gateway: Gateway, boot: str) -> None:
    """In-flight tasks are suspect: those the device still lists live on, the others are fenced
    and, unless a buffered report comes in time, unknown."""
    tasks = await run.store.read(live_tasks, gateway.id, _SUSPECT)
    suspects = [task for task in tasks if task.boot_id != boot]
    if not suspects:
        return
    try:
        listed = await gateway.device.waiting_tasks(sorted({task.port for task in suspects}))
    except (GatewayError, RemoteProtocolError):
        listed = Sweep(b"", ())
    await run.write(_sort_suspects, run.now_ms(), gateway.id, suspects, listed, boot)
    gateway.duties.ring()


def _sort_suspects(
    conn: sqlite3.Connection,
    now_ms: int,
    gateway_id: int,
    suspects: Sequence[TaskRow],
    listed: Sweep,
    boot: str,
) -> None:
    keep_evidence(conn, now_ms, gateway_id, "tasks", "restart", listed.raw)
    alive = {row.tid for row in listed.tasks}
    kept = [task.id for task in suspects if task.tid in alive]
    lost = [task.id for task in suspects if task.tid not in alive]
    adopt_boot(conn, kept, boot)
    mark_news(conn, kept, now_ms)
    start_fence(conn, lost, now_ms, FenceReason.REBOOT, "the device restarted and lists it no more")
    decide(
        conn, now_ms, "restart", f"{len(kept)} tasks live on, {len(lost)} are fenced",
        gateway_id=gateway_id,
    )  # fmt: skip


async def _find_silent(run: Run, gateway: Gateway) -> None:
    """Tasks without a word for `push-silence`: listed ones on a port that moves get more time,
    the others are taken back, where the device cannot even be asked as soon as it can."""
    tasks = [
        task
        for task in await run.store.read(
            live_tasks, gateway.id, (TaskState.ACCEPTED, TaskState.PAUSED)
        )
        if task.state is TaskState.ACCEPTED or not _is_paused(run, gateway, task)
    ]
    now_ms = run.now_ms()
    silent = [task for task in tasks if _silent(run, gateway, task, now_ms)]
    if not silent:
        return
    try:
        listed = await gateway.device.waiting_tasks(sorted({task.port for task in silent}))
    except (GatewayError, RemoteProtocolError):
        listed = Sweep(b"", ())
    moving = {task.port for task in tasks if not _silent(run, gateway, task, now_ms)}
    waiting = {row.tid for row in listed.tasks}
    alive = [task.id for task in silent if task.tid in waiting and task.port in moving]
    gone = [task for task in silent if task.id not in alive]
    await run.write(_settle_silence, now_ms, gateway.id, alive, gone, listed)
    settings = run.settings_now(gateway)
    # where others move, one report was lost: the port itself is well
    for number in sorted({task.port for task in gone} - moving):
        port = gateway.ports.get(number)
        if port is not None:
            port.rest(run.env.monotonic(), settings.port_rest)
            port.evict = True
            run.stands_otherwise(gateway)
        run.notice(f"{gateway.name} port {number} fell silent: what is queued there is taken back")
    gateway.duties.ring()


def _is_paused(run: Run, gateway: Gateway, task: TaskRow) -> bool:
    """Whether a task is paused because it is to be; else its device would not resume it."""
    campaign = run.campaigns.get(task.campaign_id)
    return campaign is not None and is_to_rest(run, gateway, campaign, task)


def _silent(run: Run, gateway: Gateway, task: TaskRow, now_ms: int) -> bool:
    last = max(task.news_ms or 0, task.accepted_ms or 0)
    return now_ms - last >= run.settings(gateway, task.campaign_id).push_silence * 1000


def _settle_silence(
    conn: sqlite3.Connection,
    now_ms: int,
    gateway_id: int,
    alive: Sequence[int],
    gone: Sequence[TaskRow],
    listed: Sweep,
) -> None:
    keep_evidence(conn, now_ms, gateway_id, "tasks", "silence", listed.raw)
    mark_news(conn, alive, now_ms)
    news = {task.id: task.news_ms for task in get_tasks(conn, [task.id for task in gone])}
    silent = [task.id for task in gone if news[task.id] == task.news_ms]  # … still, after asking
    start_fence(conn, silent, now_ms, FenceReason.SILENCE, "no word of it for push-silence")
