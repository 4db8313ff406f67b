"""Steering a running campaign: pause, continue and cancel, on the devices too, within seconds."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from campaign.engine.runtime import Campaign, Gateway, Run
from campaign.errors import GatewayError, RemoteProtocolError
from campaign.gateway.answers import TidsReading
from campaign.planner.states import CampaignState, FenceReason, TaskState
from campaign.store.tasks import (
    TaskRow,
    live_tasks,
    mark_paused,
    mark_resumed,
    start_fence,
)

_ACCEPTED, _PAUSED = TaskState.ACCEPTED, TaskState.PAUSED
_TAKEN = (_ACCEPTED, _PAUSED)


async def carry_out(run: Run, campaign: Campaign, state: CampaignState) -> None:
    """Do on the devices what was just stored of this campaign."""
    campaign.state = state
    campaign.paused_for = ""
    campaign.waiting_for = ""  # whoever stored the state has cleared it
    for gateway in list(run.gateways.values()):
        await steer_gateway(run, gateway, campaign)
    run.ring()


async def steer_gateway(run: Run, gateway: Gateway, campaign: Campaign) -> None:
    """Bring a campaign's tasks on one device in line with its state and window: pause, resume or
    fence them.

    A device that does not answer keeps them as they are until it is asked again; the window of
    queued sending bounds what still goes out.
    """
    if campaign.state is CampaignState.CANCELLED:
        tasks = await _on_device(run, gateway, campaign, *_TAKEN)
        if tasks:
            ids, why = [task.id for task in tasks], "its campaign was cancelled"
            await run.write(start_fence, ids, run.now_ms(), FenceReason.CANCEL, why)
            gateway.duties.ring()
        return
    async with gateway.steering:
        await _bring_in_line(run, gateway, await _on_device(run, gateway, campaign, *_TAKEN))


async def steer_all(run: Run, gateway: Gateway) -> None:
    """Pause and resume what is to be on one device, of all campaigns in one request each."""
    async with gateway.steering:
        tasks = await run.store.read(live_tasks, gateway.id, _TAKEN)
        await _bring_in_line(run, gateway, tasks)


async def _bring_in_line(run: Run, gateway: Gateway, tasks: Sequence[TaskRow]) -> None:
    pause: list[TaskRow] = []
    resume: list[TaskRow] = []
    for task in tasks:
        campaign = run.campaigns.get(task.campaign_id)
        if campaign is None or campaign.state is CampaignState.CANCELLED:
            continue  # its tasks are taken back, or settled only
        rests = is_to_rest(run, gateway, campaign, task)
        if rests and task.state is _ACCEPTED:
            pause.append(task)
        elif not rests and task.state is _PAUSED:
            resume.append(task)
    if pause:
        await _pause(run, gateway, pause)
    if resume:
        await _resume(run, gateway, resume)


def is_to_rest(run: Run, gateway: Gateway, campaign: Campaign, task: TaskRow) -> bool:
    """Whether nothing more of a task may start now, though it stays queued on its device."""
    if campaign.is_halted(run.env.wall()):
        return True
    return not campaign.is_urgent and task.port in (gateway.overtaken or ())


async def _on_device(
    run: Run, gateway: Gateway, campaign: Campaign, *states: TaskState
) -> list[TaskRow]:
    tasks = await run.store.read(live_tasks, gateway.id, states)
    return [task for task in tasks if task.campaign_id == campaign.id]


async def _pause(run: Run, gateway: Gateway, tasks: list[TaskRow]) -> None:
    try:
        answer = await gateway.device.pause([task.tid for task in tasks])
    except (GatewayError, RemoteProtocolError):
        run.notice(f"{gateway.name} did not answer the pause: what is queued there goes on")
        return
    codes = answer.codes()
    # an item that is not 0 (already on air, or finished) simply goes on
    await run.write(mark_paused, [task.id for task in tasks if codes.get(task.tid) == 0])


async def _resume(run: Run, gateway: Gateway, tasks: list[TaskRow]) -> None:
    try:
        answer = await gateway.device.resume([task.tid for task in tasks])
    except (GatewayError, RemoteProtocolError):
        run.notice(f"{gateway.name} did not answer the resume: asked again with the next continue")
        return
    await run.write(_settle_resume, run.now_ms(), tasks, answer)
    gateway.duties.ring()


def _settle_resume(
    conn: sqlite3.Connection, now_ms: int, tasks: list[TaskRow], answer: TidsReading
) -> None:
    codes = answer.codes()
    mark_resumed(conn, [task.id for task in tasks if codes.get(task.tid) == 0], now_ms)
    lost = [task.id for task in tasks if codes.get(task.tid) != 0]
    start_fence(conn, lost, now_ms, FenceReason.REROUTE, "the device would not resume it")
