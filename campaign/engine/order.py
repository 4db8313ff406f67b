"""Order: which campaign is served next where several share a gateway."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Hashable, Mapping, Sequence

from campaign.engine.campaign import Campaign
from campaign.engine.device import Gateway
from campaign.engine.gates import shut
from campaign.engine.limits import limits_of
from campaign.engine.runtime import Run
from campaign.engine.tokens import ready_at
from campaign.planner.shares import Contender
from campaign.planner.states import CampaignState
from campaign.store.backlog import Backlog, Queued, Work, backlog, queued

_HALTED = (CampaignState.PAUSED, CampaignState.CANCELLED, CampaignState.FINISHED)


async def read_backlog(run: Run) -> Backlog:
    """What the target campaigns have left; read again only after something was written."""
    key = _as_of(run)
    if run.backlog is None or run.backlog[0] != key:
        run.backlog = key, await run.store.read(backlog, sorted(run.targets))
    return run.backlog[1]


async def read_queue(run: Run, gateway: Gateway) -> Sequence[Queued]:
    """What the gateway holds. The backlog that the same turn asks for next comes along where it
    must be read again: every reading is a hand-over to the ledger's thread and back."""
    key = _as_of(run)
    if run.backlog is not None and run.backlog[0] == key:
        return await run.store.read(queued, gateway.id)
    queue, left = await run.store.read(_queue_and_backlog, gateway.id, sorted(run.targets))
    run.backlog = key, left
    return queue


def _as_of(run: Run) -> Hashable:
    return run.commits, frozenset(run.targets)


def _queue_and_backlog(
    conn: sqlite3.Connection, gateway_id: int, campaign_ids: Collection[int]
) -> tuple[Sequence[Queued], Backlog]:
    return queued(conn, gateway_id), backlog(conn, campaign_ids)


def in_turn(run: Run, gateway: Gateway, work: Mapping[int, Work]) -> list[Campaign]:
    """The campaigns that may send through a gateway now, the one to be served first in front.

    Those that have nothing to send now, or may not, come last: what they wait for is told too.
    """
    campaigns = [run.campaigns[id_] for id_ in sorted(run.targets)]
    campaigns = [campaign for campaign in campaigns if campaign.state not in _HALTED]
    now_ms = run.now_ms()
    wanting = [c for c in campaigns if _wants(run, gateway, c, work.get(c.id, Work()), now_ms)]
    run.queue = run.queue.with_contenders(map(_contender, wanting))
    places = {id_: place for place, id_ in enumerate(run.queue.in_order())}
    campaigns.sort(key=lambda campaign: places.get(campaign.id, len(places)))
    return [campaign for campaign in campaigns if campaign.takes(gateway)]


def _wants(run: Run, gateway: Gateway, campaign: Campaign, work: Work, now_ms: int) -> bool:
    """Whether only ports can keep it from sending; whoever waits for its own pace saves nothing."""
    if not work.pending and (work.due_ms is None or work.due_ms > now_ms):
        return False
    if ready_at(campaign, limits_of(run, gateway, campaign).campaign) > run.env.monotonic():
        return False
    return shut(run, campaign) is None and bool(campaign.picture(run.env.wall()).open)


def served(run: Run, campaign: Campaign, messages: int) -> None:
    """So many messages of this campaign are about to be claimed, or were not in the end (less than
    nothing): other gateways choose while the ledger writes."""
    run.queue = run.queue.served(_contender(campaign), messages)


def _contender(campaign: Campaign) -> Contender:
    return Contender(campaign.id, campaign.priority, campaign.options.share)
