"""The life of a campaign in this run: when it is finished, and what it waits for."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import trio

from campaign.engine.answers import CREDENTIALS_REFUSED
from campaign.engine.appointments import keep_appointments
from campaign.engine.campaign import Campaign
from campaign.engine.device import Gateway
from campaign.engine.judging import judge
from campaign.engine.receiptwait import receipt_deadline
from campaign.engine.runtime import Run
from campaign.engine.standing import go_on, keep_waiting, let_go, store_wait
from campaign.engine.waits import RECEIPTS, stored_waits, waits_of
from campaign.planner.routing import Waiting
from campaign.planner.states import CampaignState, RecipientState
from campaign.store.campaigns import (
    counts,
    get_campaign,
    list_campaigns,
    set_campaign_state,
)
from campaign.store.gateways import list_gateways
from campaign.store.legacy import awaiting_receipts
from campaign.store.outcomes import settle_without_receipts
from campaign.store.summary import campaign_object
from campaign.store.tasks import gateways_in_use, in_flight_by_gateway
from campaign.store.transitions import tell_waiting

_LOOK_EVERY = 0.25
"""Seconds: counts are read at most this often, however many reports come in."""

_RATE_WINDOW = 10.0
R = RecipientState
_OPEN = (R.PENDING, R.HELD, R.ASSIGNED)


@dataclass
class Ended:
    """How a run ended: campaign names by how far they came."""

    finished: list[str] = field(default_factory=list)
    waiting: dict[str, str] = field(default_factory=dict)
    """Name to reason: every gateway of it is stopped by an alarm."""
    refused: bool = False
    """… and each of those refused our credentials."""


async def follow(run: Run, ended: Ended) -> None:
    """Watch the target campaigns until each is finished, cancelled or cannot go on; as a service
    for ever, whatever comes."""
    while run.targets or run.serving:
        mark = run.changed.mark()
        wakes: list[float] = []
        for campaign_id in sorted(run.targets):
            wake = await _look(run, run.campaigns[campaign_id], ended)
            if wake is not None:
                wakes.append(wake)
        if not (run.targets or run.serving):
            return
        await run.changed.wait(mark, min(wakes, default=None))
        await trio.sleep(_LOOK_EVERY)


async def _look(run: Run, campaign: Campaign, ended: Ended) -> float | None:
    """Finish a campaign that is done; else when to look again at the latest."""
    appointment = await keep_appointments(run, campaign)
    if appointment is not None and appointment <= run.env.monotonic():
        return appointment  # nothing is judged while it expires: its canary did not end
    tallies = await run.store.read(counts, campaign.id)
    now = run.env.monotonic()
    campaign.finals.append((now, sum(n for state, n in tallies.items() if state not in _OPEN)))
    verdict = await judge(run, campaign, tallies)
    reason = _reason(campaign)
    if reason != campaign.waiting_for:
        await run.write(tell_waiting, campaign.id, campaign.state, reason)
        campaign.waiting_for = reason
    if any(tallies[state] for state in _OPEN):
        await _stuck(run, campaign, tallies, ended)
        return min((at for at in (appointment, verdict) if at is not None), default=None)
    missing = tallies[R.SENT] + tallies[R.UNKNOWN]
    silent = [gateway.id for gateway in run.gateways.values() if gateway.is_old]
    if missing and silent:
        missing = await run.store.read(awaiting_receipts, campaign.id, silent)
    if missing and campaign.options.receipts and campaign.state is not CampaignState.CANCELLED:
        over = await receipt_deadline(run, campaign)
        if now < over:
            # a receipt also proves what no report told: unknown ones are waited for as well
            until = run.later(over - now)[11:16]
            campaign.why = {
                RECEIPTS: Waiting(f"{missing} missing, at most until {until} UTC", over)
            }
            return over
        await run.write(settle_without_receipts, run.now_ms(), campaign.id)
    reopened = run.reopened
    why = campaign.ending
    if not await run.write(finish_if_final, run.now_ms(), campaign.id, campaign.name, why):
        return now  # late evidence has opened a recipient again
    if run.reopened != reopened:
        return now  # somebody decided to send again right after it was finished
    campaign.why.clear()
    run.targets.discard(campaign.id)
    ended.finished.append(campaign.name)
    if run.serving:
        let_go(run, campaign)
    run.changed.ring()
    return None


def finish_if_final(
    conn: sqlite3.Connection,
    now_ms: int,
    campaign_id: int,
    name: str,
    why: str = "every recipient is final",
) -> bool:
    """End a campaign unless evidence that came meanwhile has opened a recipient again."""
    tallies = counts(conn, campaign_id)
    if any(tallies[state] for state in _OPEN):
        return False
    if get_campaign(conn, name).state is not CampaignState.CANCELLED:
        set_campaign_state(conn, now_ms, campaign_id, CampaignState.FINISHED, why)
    return True


async def _stuck(
    run: Run, campaign: Campaign, tallies: dict[RecipientState, int], ended: Ended
) -> float | None:
    """With every gateway stopped by an alarm and nothing in flight where it can be looked after,
    the campaign waits for somebody to look at it."""
    if campaign.state in (CampaignState.PAUSED, CampaignState.SCHEDULED):
        return None
    in_use: set[int] = set()
    if tallies[R.ASSIGNED]:
        in_use = await run.store.read(gateways_in_use, campaign.id)
        if not in_use or in_use & run.gateways.keys():
            await go_on(run, campaign)
            return None
    waits = tallies[R.PENDING] + tallies[R.HELD]
    gateways = run.gateways_of(campaign) if waits else []
    if not all(gateway.row.stopped for gateway in gateways):
        await go_on(run, campaign)
        return None
    reasons = [f"{gateway.name}: {gateway.row.stopped}" for gateway in gateways]
    if in_use or not reasons:
        reasons += run.unusable.values()
    why = "; ".join(reasons) or "none of its gateways is registered"
    if run.serving:
        await keep_waiting(run, campaign, why)
        return None
    if campaign.state is not CampaignState.CANCELLED and not await store_wait(run, campaign, why):
        return None  # somebody paused or ended it meanwhile, and carries that out now
    run.targets.discard(campaign.id)
    ended.waiting[campaign.name] = why
    ended.refused = bool(gateways) and all(
        (gateway.row.stopped or "").startswith(CREDENTIALS_REFUSED) for gateway in gateways
    )
    run.changed.ring()
    return None


def _reason(campaign: Campaign) -> str | None:
    if campaign.state is CampaignState.PAUSED:
        return campaign.paused_for or "paused"
    if campaign.state is CampaignState.WAITING and campaign.waiting_for:
        return campaign.waiting_for
    reasons: dict[str, list[str]] = {}
    for name, waiting in campaign.why.items():
        if waiting.why:
            reasons.setdefault(waiting.why, []).append(name)
    return "; ".join(f"{', '.join(sorted(names))}: {why}" for why, names in reasons.items()) or None


async def snapshot(run: Run, name: str | None = None) -> dict[str, Any]:
    """Campaigns as `status --json` shows them, with what only the engine knows, and gateways."""
    rows = await run.store.read(_campaign_objects, name, run.now())
    for campaign in run.campaigns.values():
        shown = rows.get(campaign.name)
        if shown is not None and campaign.id in run.targets:
            _add_pace(run, campaign, shown)
    busy = await run.store.read(in_flight_by_gateway)
    gateways = [_gateway_line(run, g, busy.get(g.id, 0)) for g in run.gateways.values()]
    standing = {"serving": True} if run.serving else {}
    return {"campaigns": list(rows.values()), "gateways": gateways, **standing}


def _campaign_objects(
    conn: sqlite3.Connection, name: str | None, now: datetime
) -> dict[str, dict[str, Any]]:
    rows = [get_campaign(conn, name)] if name else list_campaigns(conn)
    stopped = {row.name: row.stopped for row in list_gateways(conn) if row.stopped}
    return {
        row.name: {
            **campaign_object(conn, row.with_hold(now)),
            "waits": stored_waits(row, now, stopped),
        }
        for row in rows
    }


def _add_pace(run: Run, campaign: Campaign, shown: dict[str, Any]) -> None:
    now = run.env.monotonic()
    recent = [(at, n) for at, n in campaign.finals if now - at <= _RATE_WINDOW]
    if len(recent) > 1 and recent[-1][0] > recent[0][0]:
        rate = (recent[-1][1] - recent[0][1]) / (recent[-1][0] - recent[0][0])
        shown["rate_per_second"] = round(rate, 2)
        left = sum(shown["counts"][state] for state in _OPEN)
        if rate > 0:
            shown["eta"] = run.later(left / rate)
    shown["waiting_for"] = _reason(campaign)
    shown["waits"] = waits_of(run, campaign)


def _gateway_line(run: Run, gateway: Gateway, in_flight: int) -> dict[str, Any]:
    now = run.env.monotonic()
    resting = sum(
        port.rests_until is not None and now < port.rests_until for port in gateway.ports.values()
    )
    return {
        "name": gateway.name,
        "in_flight": in_flight,
        "ports": len(gateway.ports),
        "usable": sum(port.usable for port in gateway.ports.values()) - resting,
        "resting": resting,
        "trouble": gateway.row.stopped or gateway.trouble,
    }
