"""Gates: whether a campaign may send anything at all now, whatever its gateways could do."""

from __future__ import annotations

from campaign.engine.runtime import Campaign, Run
from campaign.planner.routing import Shut


def shut(run: Run, campaign: Campaign) -> Shut | None:
    """Why nothing of a campaign may be claimed now, and until when; None if it may send."""
    if campaign.awaits_test:
        return Shut(f"the test {campaign.name}.test is under way")
    wall = run.env.wall()
    if campaign.window is not None and not campaign.window.is_open(wall):
        opens = campaign.window.next_open(wall)
        return Shut(
            f"the sending window opens at {opens:%Y-%m-%d %H:%M %Z}",
            run.env.monotonic() + (opens - wall).total_seconds(),
        )
    return None
