"""Order: which campaign is served next where several share a gateway."""

from __future__ import annotations

from collections.abc import Mapping

from campaign.engine.campaign import Campaign
from campaign.engine.device import Gateway
from campaign.engine.gates import shut
from campaign.engine.limits import limits_of
from campaign.engine.runtime import Run
from campaign.engine.tokens import ready_at
from campaign.planner.shares import Contender
from campaign.planner.states import CampaignState
from campaign.store.backlog import Backlog, Work, backlog

_HALTED = (CampaignState.PAUSED, CampaignState.CANCELLED, CampaignState.FINISHED)


async def read_backlog(run: Run) -> Backlog:
    """What the target campaigns have left; read again only after something was written."""
    key = (run.commits, frozenset(run.targets))
    if run.backlog is None or run.backlog[0] != key:
        run.backlog = key, await run.store.read(backlog, sorted(run.targets))
    return run.backlog[1]


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
