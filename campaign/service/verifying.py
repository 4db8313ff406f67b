"""Verifying a campaign: its ledgers against each other, every invariant, and the whole replay.

On request the devices are asked anew first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from campaign.errors import GatewayError
from campaign.service.ledger import read
from campaign.service.observing import statistics
from campaign.service.site import Site
from campaign.store.audit import Finding, audit
from campaign.store.campaigns import get_campaign
from campaign.store.gateways import list_gateways
from campaign.store.inbox import InboxReader
from campaign.store.invariants import invariants
from campaign.store.replayed import replayed


@dataclass(frozen=True)
class Verified:
    """What was found, and which devices could not be asked (name, why)."""

    name: str
    findings: tuple[Finding, ...]
    unasked: tuple[tuple[str, str], ...] = ()

    @property
    def all_hold(self) -> bool:
        """Whether nothing contradicts; what cannot be told is listed and passes."""
        return all(finding.verdict != "broken" for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "all_hold": self.all_hold,
            "findings": [
                {"law": item.law, "verdict": item.verdict, "detail": item.detail}
                for item in self.findings
            ],
            "unasked": [{"gateway": name, "why": why} for name, why in self.unasked],
        }


async def verify(site: Site, name: str, *, gateways: bool = False) -> Verified:
    """Check every law of a campaign. `gateways`: ask the devices for their counters first. Raises
    `UsageError` for an unknown campaign."""
    used = read(site, _gateways_of, name)
    unasked: list[tuple[str, str]] = []
    for gateway in used if gateways else ():
        try:
            await statistics(site, gateway, "sms", ports="all", slots="all", period="total")
        except GatewayError as error:
            unasked.append((gateway, error.message))
    with _inbox(site) as inbox:
        findings = read(site, all_findings, name, inbox)
    return Verified(name, tuple(findings), tuple(unasked))


@contextmanager
def _inbox(site: Site) -> Iterator[InboxReader | None]:
    """The inbox beside the ledger, None if there is none yet. Raises `StoreError` for one that
    cannot be read."""
    if not site.paths.inbox.exists():
        yield None
        return
    with InboxReader.open(site.paths.inbox) as inbox:
        yield inbox


def _gateways_of(conn: sqlite3.Connection, name: str) -> list[str]:
    campaign = get_campaign(conn, name)
    rows = conn.execute(
        "SELECT DISTINCT gateway_id FROM tasks WHERE campaign_id = ?", (campaign.id,)
    )
    used = {row["gateway_id"] for row in rows}
    return [
        gateway.name
        for gateway in list_gateways(conn)
        if gateway.id in used and gateway.settings.get("api-version") != "1.0"
    ]


def all_findings(conn: sqlite3.Connection, name: str, inbox: InboxReader | None) -> list[Finding]:
    """The three ledgers, the invariants and the replay, of one moment: an engine may be writing."""
    conn.execute("BEGIN")
    try:
        campaign = get_campaign(conn, name)
        found = audit(conn, campaign.id)
        known = {finding.law for finding in found}
        found += [item for item in invariants(conn, campaign.id) if item.law not in known]
        return found + replayed(conn, inbox, campaign.id)
    finally:
        conn.execute("COMMIT")
