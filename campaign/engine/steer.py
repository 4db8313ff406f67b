"""Steering a running campaign: pause, continue and cancel, on the devices too, within seconds."""

from __future__ import annotations

import sqlite3

from campaign.engine.runtime import Campaign, Gateway, Run
from campaign.errors import GatewayError, RemoteProtocolError
from campaign.gateway.client import TidsReading
from campaign.planner.states import CampaignState, FenceReason, TaskState
from campaign.store.tasks import (
    TaskRow,
    live_tasks,
    mark_paused,
    mark_resumed,
    start_fence,
)


async def carry_out(run: Run, campaign: Campaign, state: CampaignState) -> None:
    """Do on the devices what was just stored of this campaign."""
    campaign.state = state
    for gateway in list(run.gateways.values()):
        await steer_gateway(run, gateway, campaign)
    run.ring()


async def steer_gateway(run: Run, gateway: Gateway, campaign: Campaign) -> None:
    """Bring a campaign's tasks on one device in line with its state: pause, resume or fence them.

    A device that does not answer keeps them as they are until it is asked again; the window of
    queued sending bounds what still goes out.
    """
    state = campaign.state
    tasks = [
        task
        for task in await run.store.read(
            live_tasks, gateway.id, (TaskState.ACCEPTED, TaskState.PAUSED)
        )
        if task.campaign_id == campaign.id
    ]
    accepted = [task for task in tasks if task.state is TaskState.ACCEPTED]
    paused = [task for task in tasks if task.state is TaskState.PAUSED]
    if state is CampaignState.PAUSED and accepted:
        await _pause(run, gateway, accepted)
    elif state in (CampaignState.RUNNING, CampaignState.WAITING) and paused:
        await _resume(run, gateway, paused)
    elif state is CampaignState.CANCELLED and tasks:
        await run.write(
            start_fence,
            [task.id for task in tasks],
            run.now_ms(),
            FenceReason.CANCEL,
            "its campaign was cancelled",
        )
        gateway.duties.ring()


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
