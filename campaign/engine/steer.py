"""Steering a running campaign: pause, continue and cancel, on the devices too, within seconds."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from campaign.engine.campaign import Campaign, ledger_time
from campaign.engine.device import Gateway
from campaign.engine.runtime import Run
from campaign.engine.unanswered import InDoubtSince, ask_for, still_in_doubt
from campaign.gateway.answers import TidsReading
from campaign.planner.states import CampaignState, FenceReason, TaskState
from campaign.store.backlog import Queued
from campaign.store.steering import settle_steered
from campaign.store.tasks import (
    TaskRow,
    live_tasks,
    mark_paused,
    mark_resumed,
    move_until,
    start_fence,
)

_ACCEPTED, _PAUSED = TaskState.ACCEPTED, TaskState.PAUSED
_TAKEN = (_ACCEPTED, _PAUSED)
_LIVE = (*_TAKEN, TaskState.DOUBT)


async def carry_out(run: Run, campaign: Campaign, state: CampaignState) -> None:
    """Do on the devices what was just stored of this campaign."""
    campaign.state = state
    campaign.paused_for = ""
    campaign.waiting_for = ""  # whoever stored the state has cleared it
    for gateway in list(run.gateways.values()):
        await steer_gateway(run, gateway, campaign)
    run.ring()


async def steer_gateway(run: Run, gateway: Gateway, campaign: Campaign) -> bool:
    """Bring a campaign's tasks on one device in line with its state and windows: pause, resume or
    fence them; False if the device did not answer.

    Such a device keeps them as they are until it is asked again; the window of queued sending
    bounds what still goes out.
    """
    if campaign.state is CampaignState.CANCELLED:
        await _take_all(run, gateway, campaign, _TAKEN, "its campaign was cancelled")
        return True
    if campaign.is_over(run.env.wall()):
        await _take_all(run, gateway, campaign, _LIVE, "its campaign's deadline is over")
        return True
    async with gateway.steering:
        tasks = await _on_device(run, gateway, campaign, *_LIVE)
        return await _bring_in_line(run, gateway, tasks)


async def _take_all(
    run: Run, gateway: Gateway, campaign: Campaign, states: tuple[TaskState, ...], why: str
) -> None:
    """Fence whatever of a campaign waits on a device."""
    tasks = await _on_device(run, gateway, campaign, *states)
    if tasks:
        ids = [task.id for task in tasks]
        await run.write(start_fence, ids, run.now_ms(), FenceReason.CANCEL, why)
        gateway.duties.ring()


async def steer_all(run: Run, gateway: Gateway) -> bool:
    """Pause and resume what is to be on one device, of all campaigns in one request each; False if
    it did not answer."""
    async with gateway.steering:
        tasks = await run.store.read(live_tasks, gateway.id, _LIVE)
        return await _bring_in_line(run, gateway, tasks)


async def _bring_in_line(run: Run, gateway: Gateway, tasks: Sequence[TaskRow]) -> bool:
    pause: list[TaskRow] = []
    resume: list[TaskRow] = []
    ended: list[TaskRow] = []  # their window is over
    wall = run.env.wall()
    for task in tasks:
        campaign = run.campaigns.get(task.campaign_id)
        if campaign is None or campaign.state is CampaignState.CANCELLED or campaign.is_over(wall):
            continue  # its tasks are taken back, or settled only
        rests = is_to_rest(run, gateway, campaign, task)
        # one whose last request was not answered may be either by now
        either = task.steered_ms is not None and task.state in _TAKEN
        if rests and (either or task.state is _ACCEPTED):
            pause.append(task)
        elif not rests and (either or task.state is _PAUSED):
            resume.append(task)
        if not campaign.is_halted_by_hand and not campaign.may_go_on(task.lane, wall):
            ended.append(task)
    answered = not pause or await _pause(run, gateway, pause, ended)
    doubtful = [task.id for task in ended if task.state is TaskState.DOUBT]
    if doubtful:
        why = "no answer, and its window closes"
        await run.write(start_fence, doubtful, run.now_ms(), FenceReason.DOUBT, why)
        gateway.duties.ring()
    if resume:
        answered = await _resume(run, gateway, resume) and answered
    return answered


def is_to_rest(run: Run, gateway: Gateway, campaign: Campaign, task: TaskRow | Queued) -> bool:
    """Whether nothing more of a task may start now, though it stays queued on its device."""
    if not campaign.may_go_on(task.lane, run.env.wall()):
        return True
    return not campaign.is_urgent and task.port in (gateway.overtaken or ())


async def _on_device(
    run: Run, gateway: Gateway, campaign: Campaign, *states: TaskState
) -> list[TaskRow]:
    tasks = await run.store.read(live_tasks, gateway.id, states)
    return [task for task in tasks if task.campaign_id == campaign.id]


async def _pause(run: Run, gateway: Gateway, tasks: list[TaskRow], ended: list[TaskRow]) -> bool:
    """Pause tasks on the device; of the `ended` ones nothing more may start, whatever it says."""
    answer = await ask_for(run, tasks, gateway.device.pause)
    if answer is None:
        _say_deaf(run, gateway, "did not answer the pause: what is queued there goes on")
        return False
    gateway.deaf = False
    codes = answer.codes()
    paused = [task.id for task in tasks if codes.get(task.tid) == 0]
    # an item that is not 0 (already on air, or finished) simply goes on
    others = [task.id for task in tasks if codes.get(task.tid) != 0]
    await run.write(
        _settle_pause, run.now_ms(), paused, others, still_in_doubt(run, gateway, tasks)
    )
    # … but the rest of a task whose window ends is taken back, if the device pauses none that began
    begun = [t.id for t in tasks if t in ended and t.size > 1 and codes.get(t.tid) != 0]
    if begun:
        why = "its window closes, and the device would not pause it"
        only = (TaskState.ACCEPTED,)
        await run.write(start_fence, begun, run.now_ms(), FenceReason.REROUTE, why, only=only)
        gateway.duties.ring()
    return True


def _settle_pause(
    conn: sqlite3.Connection,
    now_ms: int,
    paused: Sequence[int],
    others: Sequence[int],
    in_doubt: InDoubtSince,
) -> None:
    mark_paused(conn, paused)
    mark_resumed(conn, others, now_ms)  # those it had let go on without saying so
    settle_steered(conn, in_doubt)


async def _resume(run: Run, gateway: Gateway, tasks: list[TaskRow]) -> bool:
    answer = await ask_for(run, tasks, gateway.device.resume)
    if answer is None:
        _say_deaf(run, gateway, "did not answer the resume: it is asked again")
        return False
    gateway.deaf = False
    wall = run.env.wall()
    closes: dict[int, int | None] = {}
    for task in tasks:
        campaign = run.campaigns.get(task.campaign_id)  # it may be over by now
        lanes = {} if campaign is None else campaign.picture(wall).open
        closes[task.id] = ledger_time(lanes.get(task.lane))
    in_doubt = still_in_doubt(run, gateway, tasks)
    await run.write(_settle_resume, run.now_ms(), tasks, answer, closes, in_doubt)
    gateway.duties.ring()
    return True


def _say_deaf(run: Run, gateway: Gateway, what: str) -> None:
    """Once, however often it is asked again."""
    if not gateway.deaf:
        gateway.deaf = True
        run.notice(f"{gateway.name} {what}")


def _settle_resume(
    conn: sqlite3.Connection,
    now_ms: int,
    tasks: list[TaskRow],
    answer: TidsReading,
    closes: Mapping[int, int | None],
    in_doubt: InDoubtSince,
) -> None:
    codes = answer.codes()
    resumed = [task.id for task in tasks if codes.get(task.tid) == 0]
    mark_resumed(conn, resumed, now_ms)
    move_until(conn, [(task_id, closes[task_id]) for task_id in resumed])
    settle_steered(conn, in_doubt)
    # one that was perhaps never paused has no reason to be
    lost = [t.id for t in tasks if t.state is TaskState.PAUSED and codes.get(t.tid) != 0]
    start_fence(conn, lost, now_ms, FenceReason.REROUTE, "the device would not resume it")
