"""An urgent campaign beside a big one that fills every SIM: the same run for tests and figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import trio

from campaign.engine.engine import run_engine
from campaign.engine.intake import LaunchRequest, intake
from campaign.engine.runtime import Run
from campaign.planner.options import CampaignOptions
from campaign.store.campaigns import (
    NewRecipient,
    add_recipients,
    complete_import,
    create_campaign,
    get_campaign,
)
from campaign.store.door import transaction

_CHUNK = 10_000


@dataclass(frozen=True)
class Overtaken:
    """What happened, on the simulators' ground truth. Times are virtual seconds."""

    seconds: float
    """From the hand-over of the urgent list to the start of its last message."""
    others: int
    """Messages of the big campaign that began meanwhile."""


def store_campaign(world: Any, name: str, numbers: list[str], **options: Any) -> int:
    """A running campaign in the ledger, without reading a list (that is not what is tested)."""
    with transaction(world.conn):
        campaign_id = create_campaign(
            world.conn, world.env.wall_ms(), name=name, list_name=name, message="Hello",
            columns=(), options=CampaignOptions(**options),
        )  # fmt: skip
        for first in range(0, len(numbers), _CHUNK):
            rows = [
                NewRecipient(first + nth, number, None, None, 1)
                for nth, number in enumerate(numbers[first : first + _CHUNK], 2)
            ]
            add_recipients(world.conn, campaign_id, rows, [])
        complete_import(world.conn, world.env.wall_ms(), campaign_id, name)
    return campaign_id


async def hand_over(world: Any, name: str, numbers: list[str], **options: Any) -> None:
    """A list for the engine that runs."""
    path = world.write_list(numbers, f"{name}.csv")
    request = LaunchRequest(
        name=name, path=str(path), list_name=path.name, message="Now", again=True,
        rejects=f"{path}.rejects.csv", options=CampaignOptions(**options),
    )  # fmt: skip
    await intake(world.runs[-1], request, lambda _rows, _refused: None)


async def overtake_once(
    world: Any, big: list[str], urgent: list[str], *, after: float = 120.0, to_the_end: bool = True
) -> Overtaken:
    """Run the big campaign, hand the urgent one over meanwhile, and follow both to their end (or,
    not `to_the_end`, until the urgent one is finished: for a million nobody waits)."""
    big_id = store_campaign(world, "big", big, receipts=False)
    seen: list[float] = []

    async def job(run: Run) -> None:
        run.targets.add(big_id)

    async def drive(scope: trio.CancelScope) -> None:
        await trio.sleep(after)
        seen.append(world.env.monotonic())
        await hand_over(world, "urgent", urgent, priority="urgent", receipts=False)
        run = world.runs[-1]
        mark = run.changed.mark()
        while get_campaign(world.conn, "urgent").finished_ms is None:
            await run.changed.wait(mark)
            mark = run.changed.mark()
        if not to_the_end:
            scope.cancel()

    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(drive, scope)
            await run_engine(world.run(), job)
    wanted = set(urgent)
    wall = world.env.wall().timestamp() - world.env.monotonic()
    began = {True: [], False: []}  # type: dict[bool, list[float]]
    for attempt in world.attempts:
        began[attempt.number in wanted].append(attempt.t - wall)
    last = max(began[True])
    others = sum(seen[0] < at < last for at in began[False])
    return Overtaken(last - seen[0], others)
