"""How campaigns stand: as the running engine tells it, else as far as the ledger does."""

from __future__ import annotations

import signal
import sqlite3
from datetime import datetime
from typing import Any

import trio

from campaign.engine.waits import entry, stored_waits
from campaign.errors import LedgerHeld
from campaign.service.ledger import ask, read
from campaign.service.locks import is_held
from campaign.service.outcome import Screen, beside
from campaign.service.site import Site
from campaign.store.campaigns import get_campaign, list_campaigns
from campaign.store.gateways import list_gateways
from campaign.store.summary import campaign_object

_STOPPED = "no engine runs: campaign resume"
_OPEN = ("scheduled", "running", "paused", "waiting")
_OVER = ("finished", "cancelled")
_ANSWER_SECONDS = 5.0
_LOOK_EVERY = 0.5


async def current(site: Site, name: str | None) -> tuple[dict[str, Any], bool]:
    """What `status --json` shows of one or all campaigns, and whether an engine was there that did
    not answer. Raises `UsageError` for a name that is none."""
    unanswered = False
    if is_held(site.paths.lock):
        try:
            request = {"cmd": "status", "name": name}
            return await ask(site, request, seconds=_ANSWER_SECONDS), False
        except LedgerHeld:
            unanswered = True
    return stored(site, name), unanswered


def stored(site: Site, name: str | None) -> dict[str, Any]:
    """The same from the ledger alone: whatever an engine knew beyond it is old news."""
    state = read(site, _stored, name, site.env.wall())
    for campaign in state["campaigns"]:
        if campaign["state"] in _OPEN:
            alarm = campaign["state"] == "waiting" and campaign["waiting_for"]
            campaign["waiting_for"] = f"{alarm}; {_STOPPED}" if alarm else _STOPPED
            campaign["waits"].append(entry(None, None, _STOPPED))
    return state


def _stored(conn: sqlite3.Connection, name: str | None, now: datetime) -> dict[str, Any]:
    rows = [get_campaign(conn, name)] if name else list_campaigns(conn)
    stopped = {row.name: row.stopped for row in list_gateways(conn) if row.stopped}
    return {
        "campaigns": [
            {
                **campaign_object(conn, row.with_hold(now)),
                "waits": stored_waits(row, now, stopped),
            }
            for row in rows
        ]
    }


async def watch(site: Site, name: str, screen: Screen) -> tuple[dict[str, Any], bool]:
    """Show a campaign until it is over, whoever sends it and whether or not somebody does.

    Returns the campaign as it was seen last, and whether the view was interrupted: nothing else
    is.
    """
    interrupted = False
    state = (await current(site, name))[0]

    async def on_signal(scope: trio.CancelScope) -> None:
        nonlocal interrupted
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                interrupted = True
                scope.cancel()

    async with beside() as nursery:
        nursery.start_soon(on_signal, nursery.cancel_scope)
        while True:
            screen.progress({"gateways": [], **state})
            if state["campaigns"][0]["state"] in _OVER:
                break
            await trio.sleep(_LOOK_EVERY)
            state = (await current(site, name))[0]
    campaign: dict[str, Any] = state["campaigns"][0]
    return campaign, interrupted
