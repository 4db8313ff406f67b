"""Pauses and resumes without an answer: they may have been carried out, or may be yet.

A request that timed out may still lie with the device, and one whose answer was lost was carried
out; so may one be that an engine asked for just before it was killed. Such a task is steered again
until the device has answered and whatever was asked before must have reached it, or never will.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from campaign.engine.device import Gateway
from campaign.engine.runtime import Run
from campaign.errors import GatewayError, RemoteProtocolError
from campaign.gateway.answers import TidsReading
from campaign.store.steering import note_steered
from campaign.store.tasks import TaskRow

InDoubtSince = list[tuple[int, int | None]]
"""Task ids, each with when a request for it went unanswered that may be carried out yet."""


async def ask_for(
    run: Run,
    tasks: Sequence[TaskRow],
    ask: Callable[[Sequence[int]], Awaitable[TidsReading]],
) -> TidsReading | None:
    """Have a device pause or resume tasks; None if it did not answer. It is written down first
    that it may happen from now on; whoever settles the answer takes that back."""
    await run.write(note_steered, [task.id for task in tasks], run.now_ms())
    try:
        return await ask([task.tid for task in tasks])
    except (GatewayError, RemoteProtocolError):
        return None


def still_in_doubt(run: Run, gateway: Gateway, tasks: Sequence[TaskRow]) -> InDoubtSince:
    """What of earlier requests (`tasks` as they were read before the last one) may be to come."""
    return [(t.id, t.steered_ms if is_in_doubt(run, gateway, t) else None) for t in tasks]


def is_in_doubt(run: Run, gateway: Gateway, task: TaskRow) -> bool:
    """Whether a pause or resume of a task that was never answered may be carried out yet: a device
    is trusted with no more time for it than for a post."""
    if task.steered_ms is None:
        return False
    return task.steered_ms > request_may_come_since(run, gateway, task)


def request_may_come_since(run: Run, gateway: Gateway, task: TaskRow) -> int:
    """What was asked for since then (ms) may still reach the device."""
    wait = run.settings(gateway, task.campaign_id).doubt_wait
    return run.now_ms() - round(wait * 1000)
