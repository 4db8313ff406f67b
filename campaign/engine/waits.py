"""Why a campaign waits, for whom, and until when: one entry for each gateway or port.

An entry is `{"gateway", "port", "why", "until"}`: `gateway` and `port` are null where the whole
campaign, or the whole gateway, waits; `until` is RFC 3339 UTC, null where something has to happen.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from campaign.engine.campaign import Campaign
from campaign.engine.runtime import Run
from campaign.planner.states import CampaignState
from campaign.store.campaigns import CampaignRow

RECEIPTS = "receipts"
"""What a campaign waits for when everything is sent; it is no gateway's name in `Campaign.why`."""
ROUTES = "routes"
"""… and that nobody may serve some of its recipients now."""
CANARY = "canary"
"""… and when its first recipients were sent to and their outcomes are still to come."""


def entry(
    gateway: str | None, port: int | None, why: str, until: str | None = None
) -> dict[str, Any]:
    """One wait as `status --json` shows it."""
    return {
        "gateway": gateway,
        "port": None if port is None else str(port),
        "why": why,
        "until": until,
    }


def waits_of(run: Run, campaign: Campaign) -> list[dict[str, Any]]:
    """What a campaign of this run waits for now, from memory alone: no query."""
    if campaign.state is CampaignState.PAUSED:
        return [entry(None, None, campaign.paused_for or "paused")]
    stopped = {g.name: g.row.stopped for g in run.gateways_of(campaign) if g.row.stopped}
    names = {gateway.name for gateway in run.gateways.values()} - stopped.keys()
    found: list[dict[str, Any]] = []
    for name, waiting in sorted(campaign.why.items()):
        if name in (RECEIPTS, ROUTES, CANARY):
            found.append(entry(None, None, f"{name}: {waiting.why}", _at(run, waiting.until)))
        elif name in names and waiting.ports:
            found += [
                entry(name, wait.port, wait.why, _at(run, wait.until))
                for wait in sorted(waiting.ports, key=lambda wait: wait.port)
            ]
        elif name in names and waiting.why:
            found.append(entry(name, None, waiting.why, _at(run, waiting.until)))
    found += [entry(name, None, f"stopped: {why}") for name, why in sorted(stopped.items())]
    found += [
        entry(name, None, why)
        for name, why in sorted(run.unusable.items())
        if not campaign.options.gateways or name in campaign.options.gateways
    ]
    if not found and campaign.state is CampaignState.WAITING:
        found.append(entry(None, None, campaign.waiting_for or "an alarm"))
    return found


def _at(run: Run, until: float | None) -> str | None:
    return None if until is None else run.later(until - run.env.monotonic())


def stored_waits(
    row: CampaignRow, now: datetime, stopped: Mapping[str, str]
) -> list[dict[str, Any]]:
    """What a campaign waits for as far as the ledger tells it: a pause, its start, its window, its
    alarm. `stopped` are gateways with an alarm, and why; `now` is aware UTC."""
    match row.state:
        case CampaignState.FINISHED | CampaignState.CANCELLED:
            return []
        case CampaignState.IMPORTING:
            return [entry(None, None, "its list is being imported")]
        case CampaignState.PAUSED:
            return [entry(None, None, row.waiting_for or "paused")]
        case CampaignState.SCHEDULED if row.start_ms is not None:
            start = datetime.fromtimestamp(row.start_ms / 1000, UTC)
            return [entry(None, None, "its start", f"{start:%Y-%m-%dT%H:%M:%SZ}")]
    chosen = row.options.gateways
    found = [
        entry(name, None, f"stopped: {why}")
        for name, why in sorted(stopped.items())
        if not chosen or name in chosen
    ]
    if row.state is CampaignState.WAITING and not found:
        found.append(entry(None, None, row.waiting_for or "an alarm"))
    window = row.options.parsed_window
    if window is not None and not window.is_open(now):
        opens = window.next_open(now).astimezone(UTC)
        found.append(entry(None, None, "the sending window", f"{opens:%Y-%m-%dT%H:%M:%SZ}"))
    return found
