"""The way back: whether what a device reports reaches us, before much is sent through it."""

from __future__ import annotations

from dataclasses import dataclass

from campaign.engine.device import Gateway
from campaign.engine.runtime import Run
from campaign.planner.settings import Settings

_PROBES = 3


@dataclass(frozen=True)
class Held:
    """Why a gateway is held; `probe`: one message may test the way now, else look at `until`."""

    why: str
    probe: bool = False
    until: float | None = None


def return_path(run: Run, gateway: Gateway, settings: Settings, now: float) -> Held | None:
    """None while sending may go on, or has not begun.

    A wrong public address must cost a handful of unknowns, not a campaign: once the first accepted
    messages should have been reported and were not, only a few single probes go out.
    """
    if gateway.is_old or gateway.pushed or settings.return_path == "assume":
        gateway.held = False
        return None
    if gateway.first_accept is None:
        return None
    patience = gateway.first_accept + settings.client_timeout + settings.report_horizon
    if now < patience:
        return None
    why = f"no report from {gateway.name} has reached {_shown(gateway.push_url)}"
    if gateway.trouble != why:
        gateway.trouble = why
        run.notice(f"{why}: held; check the address, or --set return-path=assume")
    if gateway.probes >= _PROBES:
        if not gateway.held:
            gateway.held = True
            run.stands_otherwise(gateway)
        return Held(why)
    next_probe = max(patience, gateway.last_probe + settings.report_horizon)
    return Held(why, probe=now >= next_probe, until=next_probe)


def _shown(url: str) -> str:
    """The push address without its token."""
    return url.rsplit("/", 1)[0]
