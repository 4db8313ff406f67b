"""Worlds of several campaigns that overtake each other, try their first recipients and pause
themselves, under the faults, acts and crashes that the same seed draws elsewhere."""

from __future__ import annotations

import random
from dataclasses import replace

from tests.simulation.play import Verdict, play_scenario
from tests.simulation.scenario import Act, CampaignPlan, Scenario, draw

_CONTINUED_EVERY = 150.0
_CONTINUED_FOR = 3000.0


def crowded(seed: int) -> Scenario:
    """The scenario of a seed, with an urgent campaign that comes into the middle of the others."""
    scenario = draw(seed)
    rng = random.Random(f"many {seed}")
    numbers = tuple(f"99940{nth:05d}{5000 + nth:04d}" for nth in range(rng.choice((3, 8, 20))))
    urgent = CampaignPlan(
        name="urgent",
        numbers=numbers,
        message="Now",
        options={"priority": "urgent", "receipts": False, "settings": {"receipt-wait": "2m"}},
        start=rng.uniform(5, 90),
    )
    others = tuple(_ordered(rng, plan) for plan in scenario.campaigns)
    campaigns = (*others, urgent)
    # whatever paused itself is let go on, again and again
    acts = tuple(
        Act(at=scenario.calm + nth * _CONTINUED_EVERY, kind="continue", campaign=campaign)
        for campaign in range(len(campaigns))
        for nth in range(1, round(_CONTINUED_FOR / _CONTINUED_EVERY))
    )
    return replace(scenario, campaigns=campaigns, acts=(*scenario.acts, *acts))


def _ordered(rng: random.Random, plan: CampaignPlan) -> CampaignPlan:
    options = dict(plan.options)
    options["priority"] = rng.choice(("normal", "normal", "high", "low", "urgent"))
    options["share"] = rng.choice((1, 1, 3))
    if rng.random() < 0.5:
        options["canary"] = rng.choice(("1", "3", "20%"))
    if rng.random() < 0.5:
        options["pause_if"] = (rng.choice(("failed+unknown>10%", "failed>0", "unknown>5%")),)
    return replace(plan, options=options)


def play_crowded(seed: int) -> Verdict:
    """Play it; what was cancelled by an act stays cancelled."""
    return play_scenario(crowded(seed))
