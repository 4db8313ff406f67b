"""Fencing: a task is taken back from its device before its recipients may go anywhere else.

Pause, list, remove. A task of one recipient that was paused, then listed as waiting, then removed
cannot start any more: unsent is proved. For several recipients the device's own counters must
account for exactly what our tasks reported. Neither answer to a remove is proof by itself; without
proof, a full report horizon later, those without a detail are unknown. Never rescue on time alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from campaign.engine.device import Gateway
from campaign.engine.runtime import Run
from campaign.engine.unanswered import request_may_come_since
from campaign.errors import GatewayError, RemoteProtocolError
from campaign.gateway.answers import StatsReading, Sweep, TidsReading
from campaign.planner.states import FenceReason, TaskState, UnknownCause
from campaign.store.claims import CLOSED_BY_REPORTS, close, release
from campaign.store.journal import keep_evidence
from campaign.store.outcomes import ambiguity, close_unknown, task_counters
from campaign.store.statistics import accounts_exactly
from campaign.store.tasks import (
    TaskRow,
    live_tasks,
    mark_fenced,
    mark_removed,
    mark_shown_waiting,
    overtaken_tasks,
    start_fence,
    tasks_of_unwanted,
)

_FIRST_WAIT = 1.0
_LONGEST_WAIT = 30.0
_PAUSED = 1

_CAUSES = {FenceReason.REBOOT: UnknownCause.REBOOT, FenceReason.DOUBT: UnknownCause.NO_ANSWER}


async def fence(run: Run, gateway: Gateway) -> None:
    """Take back what is to be taken back from this gateway, for as long as the run lasts."""
    wait = _FIRST_WAIT
    while True:
        mark = gateway.duties.mark()
        await _fence_unwanted(run, gateway)
        await _fence_evicted(run, gateway)
        fencing = await run.store.read(live_tasks, gateway.id, (TaskState.FENCING,))
        if fencing:
            if await _take_back(run, gateway, fencing):
                wait = _FIRST_WAIT
            else:
                await _give_up(run, gateway, fencing)
                await gateway.duties.wait(mark, run.env.monotonic() + wait)
                wait = min(_LONGEST_WAIT, wait * 2)
            continue
        fenced = await run.store.read(live_tasks, gateway.id, (TaskState.FENCED,))
        if not fenced:
            await gateway.duties.wait(mark)
            continue
        due = min(_over_ms(run, gateway, task) for task in fenced)
        if due > run.now_ms():
            await gateway.duties.wait(mark, run.monotonic_at(due))
            continue
        await _close_due(run, gateway, fenced)
        run.ring()


async def _fence_unwanted(run: Run, gateway: Gateway) -> None:
    holding = await run.store.read(tasks_of_unwanted, gateway.id)
    if holding:
        why = "a recipient opted out or was blocked"
        await run.write(start_fence, holding, run.now_ms(), FenceReason.OPT_OUT, why)
    overtaken = await run.store.read(overtaken_tasks, gateway.id)
    if overtaken:
        why = "late evidence proves another attempt of a recipient"
        await run.write(start_fence, overtaken, run.now_ms(), FenceReason.REROUTE, why)


async def _fence_evicted(run: Run, gateway: Gateway) -> None:
    """What is queued on a port that cannot send, or fails, or fell silent, goes elsewhere."""
    evicted = {port.number for port in gateway.ports.values() if port.evict}
    if not evicted:
        return
    for number in evicted:
        gateway.ports[number].evict = False
    tasks = await run.store.read(live_tasks, gateway.id, (TaskState.ACCEPTED, TaskState.PAUSED))
    await run.write(
        start_fence,
        [task.id for task in tasks if task.port in evicted],
        run.now_ms(),
        FenceReason.REROUTE,
        "its port does not send",
    )


def _over_ms(run: Run, gateway: Gateway, task: TaskRow) -> int:
    horizon = run.settings(gateway, task.campaign_id).report_horizon
    return (task.fenced_ms or 0) + round(horizon * 1000)


async def _take_back(run: Run, gateway: Gateway, tasks: Sequence[TaskRow]) -> bool:
    """Pause, list and remove; False if the device did not answer the remove."""
    tids = [task.tid for task in tasks]
    try:
        async with gateway.steering:  # a resume before the remove would undo the proof
            paused = await gateway.device.pause(tids)
            listed = await gateway.device.waiting_tasks(sorted({task.port for task in tasks}))
            removed = await gateway.device.remove(tids)
    except (GatewayError, RemoteProtocolError):
        return False
    late = {task.id: request_may_come_since(run, gateway, task) for task in tasks}
    await run.write(_settle_fence, run.now_ms(), gateway.id, tasks, paused, listed, removed, late)
    run.ring()
    return True


def _settle_fence(
    conn: sqlite3.Connection,
    now_ms: int,
    gateway_id: int,
    tasks: Sequence[TaskRow],
    paused: TidsReading,
    listed: Sweep,
    removed: TidsReading,
    late: Mapping[int, int],
) -> None:
    """`late`: since when a request for a task may still be on its way, by task id, in ms: a resume
    that arrives between the answers would undo what they prove."""
    asked = ",".join(str(task.tid) for task in tasks)
    for kind, reading in (("pause", paused), ("tasks", listed), ("remove", removed)):
        keep_evidence(conn, now_ms, gateway_id, kind, asked, reading.raw)
    gone = {task.id for task in tasks if removed.codes().get(task.tid) == 0}
    mark_removed(conn, sorted(gone))
    waiting = {row.tid for row in listed.tasks if row.state == _PAUSED}
    fencing = live_tasks(conn, gateway_id, (TaskState.FENCING,))
    stirred = {task.id for task in fencing if (task.steered_ms or 0) > late.get(task.id, 0)}
    shown = {
        task.id
        for task in tasks
        if paused.codes().get(task.tid) == 0 and task.tid in waiting and task.id in gone - stirred
    }
    mark_shown_waiting(conn, sorted(shown))
    for task in fencing:
        if task.id in shown and task.size == 1:
            why = "paused, listed as waiting, removed: it never started"
            release(conn, task.id, now_ms, why, avoid=f"{gateway_id}:{task.port}")
    mark_fenced(conn, [task.id for task in tasks], now_ms)


async def _give_up(run: Run, gateway: Gateway, tasks: Sequence[TaskRow]) -> None:
    """No answer until the doubt deadline: unknown, and nothing is reassigned."""
    now_ms = run.now_ms()
    for task in tasks:
        deadline = run.settings(gateway, task.campaign_id).doubt_deadline
        if now_ms - (task.fence_ms or now_ms) >= deadline * 1000:
            why = "its device did not answer until the doubt deadline"
            await run.write(close_unknown, now_ms, task.id, UnknownCause.UNREACHABLE, why)


async def _close_due(run: Run, gateway: Gateway, tasks: Sequence[TaskRow]) -> None:
    now_ms = run.now_ms()
    due = [task for task in tasks if _over_ms(run, gateway, task) <= now_ms]
    stats, boot = await _device_counters(gateway)
    for task in due:
        await run.write(_close, run.now_ms(), gateway.id, task, stats, boot)


async def _device_counters(gateway: Gateway) -> tuple[StatsReading | None, str]:
    try:
        boot = (await gateway.device.boot_id()).page.ssrc
        return await gateway.device.sms_stats(), boot
    except (GatewayError, RemoteProtocolError):
        return None, ""


def _close(
    conn: sqlite3.Connection,
    now_ms: int,
    gateway_id: int,
    task: TaskRow,
    stats: StatsReading | None,
    boot: str,
) -> None:
    current = [
        row for row in live_tasks(conn, gateway_id, (TaskState.FENCED,)) if row.id == task.id
    ]
    if not current:
        return
    if not current[0].open:
        close(conn, task.id, now_ms, CLOSED_BY_REPORTS)
        return
    if stats is not None and _proved_unsent(conn, current[0], boot, stats):
        keep_evidence(conn, now_ms, gateway_id, "stat", f"task {task.id}", stats.raw)
        why = "the device's own counters leave no room for it"
        release(conn, task.id, now_ms, why, avoid=f"{gateway_id}:{task.port}")
        return
    bounds = ambiguity(conn, task.id).bounds
    if bounds:
        close_unknown(conn, now_ms, task.id, UnknownCause.AMBIGUOUS, bounds)
        return
    reason = task.fence or FenceReason.SILENCE
    cause = _CAUSES.get(reason, UnknownCause.SILENCE)
    if task.doubt is not None and cause is UnknownCause.SILENCE:
        cause = UnknownCause.NO_ANSWER
    if boot and task.boot_id is not None and boot != task.boot_id:
        cause = UnknownCause.REBOOT  # whyever it was fenced, this is why nothing was reported
    close_unknown(conn, now_ms, task.id, cause, _WHY[cause])


_WHY = {
    UnknownCause.REBOOT: "the device restarted and reported nothing of it",
    UnknownCause.NO_ANSWER: "the device never answered its post and reported nothing of it",
    UnknownCause.SILENCE: "no report within the horizon after it was taken back",
}


def _proved_unsent(conn: sqlite3.Connection, task: TaskRow, boot: str, stats: StatsReading) -> bool:
    """The task's counters are whole and at rest (or it never started), and the port's own counters
    grew by exactly what our tasks there report; and its device did not refuse to remove it, for
    what is still queued may start as soon as its port comes back."""
    if not task.removed:
        return False
    counters = task_counters(conn, task.id)
    at_rest = counters is not None and counters.fit(task.size) and counters.sending == 0
    never_started = counters is None and bool(task.shown_waiting)
    return (at_rest or never_started) and accounts_exactly(conn, task.id, boot, stats.stats.stats)
