"""Verifying a campaign: its ledgers against each other, on request with the devices asked anew."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from campaign.errors import GatewayError
from campaign.service.ledger import read
from campaign.service.observing import statistics
from campaign.service.site import Site
from campaign.store.audit import Finding, audit
from campaign.store.campaigns import get_campaign
from campaign.store.gateways import list_gateways


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
    """Hold a campaign's ledgers against each other. `gateways`: ask the devices for their counters
    first. Raises `UsageError` for an unknown campaign."""
    used = read(site, _gateways_of, name)
    unasked: list[tuple[str, str]] = []
    for gateway in used if gateways else ():
        try:
            await statistics(site, gateway, "sms", ports="all", slots="all", period="total")
        except GatewayError as error:
            unasked.append((gateway, error.message))
    return Verified(name, tuple(read(site, _audited, name)), tuple(unasked))


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


def _audited(conn: sqlite3.Connection, name: str) -> list[Finding]:
    return audit(conn, get_campaign(conn, name).id)
