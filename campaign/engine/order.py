"""Order: which campaign is served next where several share a gateway."""

from __future__ import annotations

from campaign.engine.runtime import Campaign, Gateway, Run
from campaign.planner.states import CampaignState

_HALTED = (CampaignState.PAUSED, CampaignState.CANCELLED, CampaignState.FINISHED)


def in_turn(run: Run, gateway: Gateway) -> list[Campaign]:
    """The campaigns that may send through a gateway now, the one to be served first in front: in
    turn, so that none stands in the way of the next."""
    ids = sorted(run.targets, key=lambda id_: (id_ <= gateway.last_served, id_))
    campaigns = [run.campaigns[id_] for id_ in ids]
    return [c for c in campaigns if c.state not in _HALTED and c.takes(gateway)]


def served(gateway: Gateway, campaign: Campaign) -> None:
    """Something of this campaign was just claimed there."""
    gateway.last_served = campaign.id
