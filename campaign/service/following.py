"""Launching and resuming on a ledger that another engine holds: hand over, then follow."""

from __future__ import annotations

import signal

import msgspec
import trio

from campaign.engine.answers import CREDENTIALS_REFUSED
from campaign.engine.intake import LaunchRequest
from campaign.errors import CampaignError, LedgerHeld
from campaign.planner.states import CampaignState
from campaign.service.ledger import ask, read
from campaign.service.locks import is_held
from campaign.service.outcome import Result, Screen, beside, final_objects
from campaign.service.simulated import Simulation, start_wanted
from campaign.service.site import Site
from campaign.store.gateways import list_gateways

_SHOW_EVERY = 0.25
_ENDING = 10.0
"""Seconds an engine may take from closing its control socket to giving up its lock."""
_ENDED = (CampaignState.FINISHED, CampaignState.CANCELLED, CampaignState.WAITING)


async def hand_over(
    site: Site, request: LaunchRequest, screen: Screen, simulation: Simulation | None
) -> Result:
    """Give the list to the engine that holds the ledger, then follow it."""
    if simulation is not None:
        rows = read(site, list_gateways)
        for parameters in await start_wanted(site, rows, simulation):
            await ask(site, {"cmd": "do", "verb": "gateway-add", "parameters": dict(parameters)})
    screen.notice("another engine runs on this ledger: the list is handed over to it")
    command = {"cmd": "launch", "request": msgspec.to_builtins(request)}
    answer = await ask(site, command, seconds=3600.0)
    screen.imported(answer["recipients"], answer["refused"])
    return await follow_remote(site, request.name, screen)


async def _engine_ends(site: Site) -> bool:
    """Whether an engine that no longer answers is about to end, and has ended now."""
    with trio.move_on_after(_ENDING):
        while is_held(site.paths.lock):  # noqa: ASYNC110 - a lock of another process has no event
            await trio.sleep(0.05)
        return True
    return False


async def lift_remote(site: Site) -> None:
    """Lift the alarms of a running service, as `resume` lifts them where no engine runs: there a
    campaign that waits stays with the engine."""
    if (await ask(site, {"cmd": "status", "name": None})).get("serving"):
        await ask(site, {"cmd": "do", "verb": "lift-all", "parameters": {}})


async def follow_remote(site: Site, name: str | None, screen: Screen) -> Result:
    """Show what the running engine does until the campaigns asked for have ended.

    Interrupted, only the view ends: the engine goes on.
    """
    began = site.env.monotonic()
    interrupted = False

    async def on_signal(scope: trio.CancelScope) -> None:
        nonlocal interrupted
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                interrupted = True
                screen.notice("no longer following; the running engine goes on")
                scope.cancel()

    async with beside() as nursery:
        nursery.start_soon(on_signal, nursery.cancel_scope)
        while True:
            try:
                state = await ask(site, {"cmd": "status", "name": name})
            except LedgerHeld:
                if not await _engine_ends(site):
                    raise
                break  # between two looks; the ledger says how far it came
            screen.progress(state)
            if all(campaign["state"] in _ENDED for campaign in state["campaigns"]):
                break
            await trio.sleep(_SHOW_EVERY)
    objects = read(site, final_objects, name, site.env.wall())
    left = [campaign["name"] for campaign in objects if campaign["state"] not in _ENDED]
    if left and not interrupted and not is_held(site.paths.lock):
        raise CampaignError(
            f"the engine that was followed has ended before {', '.join(left)}: campaign resume"
        )
    for campaign in objects:
        campaign["seconds"] = round(site.env.monotonic() - began, 1)
    waiting = {c["name"]: c["waiting_for"] for c in objects if c["state"] == CampaignState.WAITING}
    refused = bool(waiting) and all(CREDENTIALS_REFUSED in why for why in waiting.values())
    return Result(objects, interrupted, waiting, refused)
