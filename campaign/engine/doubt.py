"""The in-doubt ladder: ask, compare boots, re-post byte for byte, fence; never guess.

Doubt is swept per POST: a hundred doubtful tasks cost one sweep. (0) wait until a device that took
them would have reported; (1) a report or a listing proves acceptance, absence proves nothing;
(2) another boot, or one that cannot be read, forbids a re-post; (3) else the same task objects go
out again while the device is trusted to remember their tids; (4) what is still doubtful is fenced;
(5) at the deadline it is unknown.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import groupby

from campaign.engine.device import Gateway
from campaign.engine.hours import answered_in_time
from campaign.engine.runtime import Instant, Run
from campaign.engine.wire import request_body
from campaign.errors import GatewayError, RemoteProtocolError
from campaign.gateway.answers import Answered, Sweep
from campaign.planner.states import FenceReason, TaskState, UnknownCause
from campaign.protocol.messages import QueuedTask
from campaign.store.journal import decide, keep_evidence
from campaign.store.outcomes import close_unknown
from campaign.store.tasks import (
    TaskRow,
    get_tasks,
    live_tasks,
    mark_accepted,
    mark_collided_ours,
    mark_reposted,
    no_longer_wanted,
    start_fence,
    task_objects,
)

_REPOST_WITHIN = 5.0
"""Seconds between the boot id's reading and the re-post: a device may restart in between."""

_NEVER_TOLD = "the answer was lost, and the old interface tells nothing later"

_ACCEPTS_AGAIN = frozenset({0, 13})
"""On a re-post only these are evidence: taken now, or taken before."""


async def resolve_doubt(run: Run, gateway: Gateway) -> None:
    """Look after this gateway's doubtful tasks, for as long as the run lasts."""
    while True:
        mark = gateway.duties.mark()
        tasks = await run.store.read(live_tasks, gateway.id, (TaskState.DOUBT,))
        if not tasks:
            await gateway.duties.wait(mark)
            continue
        now_ms = run.now_ms()
        if gateway.is_old:
            for task in tasks:
                await run.write(_give_up_if_in_doubt, now_ms, task, _NEVER_TOLD)
            run.ring()
            continue
        due = min(_due_ms(run, gateway, task) for task in tasks)
        if due > now_ms:
            await gateway.duties.wait(mark, run.monotonic_at(due))
            continue
        for _, group in groupby(tasks, key=lambda task: task.post_id):
            post = [task for task in group if _due_ms(run, gateway, task) <= now_ms]
            if post:
                await _sweep(run, gateway, post)
        run.ring()


def _due_ms(run: Run, gateway: Gateway, task: TaskRow) -> int:
    wait = run.settings(gateway, task.campaign_id).doubt_wait
    return (task.doubt_ms or 0) + round(wait * 1000)


async def _sweep(run: Run, gateway: Gateway, tasks: Sequence[TaskRow]) -> None:
    try:
        listed = await gateway.device.waiting_tasks(sorted({task.port for task in tasks}))
    except (GatewayError, RemoteProtocolError):
        await _give_up_or_wait(run, gateway, tasks, "its device cannot be asked")
        return
    left = await run.write(_fold_listing, run.now_ms(), gateway.id, tasks, listed)
    if not left:
        return
    asked = run.instant()
    boot = await _read_boot(run, gateway)
    unwanted = await run.store.read(no_longer_wanted, [task.id for task in left])
    again = [
        task for task in left if task.id not in unwanted and _may_repost(run, gateway, task, boot)
    ]
    if again and run.passed_since(asked) < _REPOST_WITHIN:
        offered = await _repost(run, gateway, again, asked)
        left = [task for task in left if task.id not in offered]
    if left:
        reason = FenceReason.REBOOT if _rebooted(left[0], boot) else FenceReason.DOUBT
        why = (
            "the device restarted since" if reason is FenceReason.REBOOT else "not to be re-posted"
        )
        await run.write(
            start_fence,
            [task.id for task in left],
            run.now_ms(),
            reason,
            f"no answer, {why}",
            only=(TaskState.DOUBT,),  # a report may have come meanwhile
        )
        gateway.duties.ring()


def _fold_listing(
    conn: sqlite3.Connection,
    now_ms: int,
    gateway_id: int,
    tasks: Sequence[TaskRow],
    listed: Sweep,
) -> list[TaskRow]:
    """Apply what the device lists; returns the tasks that are still in doubt."""
    keep_evidence(conn, now_ms, gateway_id, "tasks", "doubt", listed.raw)
    rows = {row.tid: row for row in listed.tasks}
    left: list[TaskRow] = []
    for task in live_tasks(conn, gateway_id, (TaskState.DOUBT,)):
        if task.id not in {known.id for known in tasks}:
            continue
        if task.doubt is UnknownCause.COLLISION:
            _settle_collision(conn, now_ms, task, rows.get(task.tid))
        elif task.tid in rows:
            mark_accepted(conn, [task.id], now_ms)
            decide(conn, now_ms, "accepted", "the device lists it", task_id=task.id)
        else:
            left.append(task)
    return left


def _settle_collision(
    conn: sqlite3.Connection, now_ms: int, task: TaskRow, row: QueuedTask | None
) -> None:
    """Only a listed task with our very recipients and text is ours; all else proves nothing."""
    if row is not None and mark_collided_ours(conn, task.id, now_ms, row.to, row.sms):
        decide(conn, now_ms, "accepted", "listed with our recipients and text", task_id=task.id)
        return
    why = "its tid was in use by another system; whether this one went out cannot be told"
    close_unknown(conn, now_ms, task.id, UnknownCause.COLLISION, why)


async def _read_boot(run: Run, gateway: Gateway) -> str | None:
    try:
        reading = await gateway.device.boot_id()
    except (GatewayError, RemoteProtocolError):
        return None
    await run.write(keep_evidence, run.now_ms(), gateway.id, "boot", "doubt", reading.raw)
    return reading.page.ssrc or None


def _rebooted(task: TaskRow, boot: str | None) -> bool:
    return boot is not None and task.boot_id is not None and boot != task.boot_id


def _may_repost(run: Run, gateway: Gateway, task: TaskRow, boot: str | None) -> bool:
    if boot is None or task.boot_id is None or boot != task.boot_id or task.intent_ms is None:
        return False
    campaign = run.campaigns.get(task.campaign_id)
    if campaign is not None and not answered_in_time(run, gateway, campaign, task.lane):
        return False  # it would start outside the window: taken back instead
    # while this machine slept the device forgot, but the monotonic clock stood still: by both
    # clocks it must be young. One stepped back makes it look younger than it is: never re-post
    ages = [(now_ms - task.intent_ms) / 1000 for now_ms in (run.now_ms(), run.env.wall_ms())]
    return min(ages) >= 0 and max(ages) < run.settings(gateway, task.campaign_id).tid_memory


async def _repost(run: Run, gateway: Gateway, tasks: Sequence[TaskRow], asked: Instant) -> set[int]:
    """Offer again what is still in doubt and wanted; returns those tasks' ids.

    None if this machine slept since the device was asked: it may have forgotten or restarted.
    """
    settings = run.settings(gateway, tasks[0].campaign_id)
    why = "same boot, tid still remembered: 13 proves the first post, 0 this one"
    ids = await run.write(mark_reposted, [task.id for task in tasks], run.now_ms(), why)
    if not ids:
        return set()
    tasks = [task for task in tasks if task.id in ids]
    bodies = await run.store.read(task_objects, ids)
    body = await request_body(run, gateway, settings, bodies)
    if run.passed_since(asked) >= _REPOST_WITHIN:
        return set()
    await run.check_still_ours(asked)
    outcome = await gateway.device.post(body)
    if isinstance(outcome, Answered):
        codes = {verdict.tid: verdict.code for verdict in outcome.status.verdicts}
        accepted = [task.id for task in tasks if codes.get(task.tid) in _ACCEPTS_AGAIN]
        await run.write(_settle_repost, run.now_ms(), gateway.id, accepted, outcome.raw)
    return set(ids)


def _settle_repost(
    conn: sqlite3.Connection,
    now_ms: int,
    gateway_id: int,
    accepted: Sequence[int],
    raw: bytes,
) -> None:
    keep_evidence(conn, now_ms, gateway_id, "repost", ",".join(map(str, accepted)), raw)
    mark_accepted(conn, accepted, now_ms)


async def _give_up_or_wait(run: Run, gateway: Gateway, tasks: Sequence[TaskRow], why: str) -> None:
    """At the deadline doubt becomes unknown; until then the ladder starts again from its wait."""
    now_ms = run.now_ms()
    late = [
        task
        for task in tasks
        if now_ms - (task.intent_ms or now_ms)
        >= run.settings(gateway, task.campaign_id).doubt_deadline * 1000
    ]
    for task in late:
        await run.write(_give_up_if_in_doubt, now_ms, task, why)
    await run.write(_wait_again, now_ms, [task.id for task in tasks if task not in late])


def _give_up_if_in_doubt(conn: sqlite3.Connection, now_ms: int, task: TaskRow, why: str) -> None:
    (current,) = get_tasks(conn, [task.id])  # a report may have come while the device was asked
    if current.state is TaskState.DOUBT:
        close_unknown(conn, now_ms, task.id, task.doubt or UnknownCause.NO_ANSWER, why)


def _wait_again(conn: sqlite3.Connection, now_ms: int, task_ids: Sequence[int]) -> None:
    conn.executemany(
        "UPDATE tasks SET doubt_ms = ? WHERE id = ? AND state = 'doubt'",
        [(now_ms, task_id) for task_id in task_ids],
    )
