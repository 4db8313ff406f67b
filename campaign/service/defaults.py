"""Defaults that depend on where the gateways are: the sending window, and asking before sending."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from campaign.engine.intake import chosen_gateways
from campaign.planner.options import CampaignOptions
from campaign.service.ledger import read
from campaign.service.site import Site, is_loopback
from campaign.store.gateways import GatewayRow, list_gateways

_WINDOW = "08:00-21:00"


@dataclass(frozen=True)
class SettledOptions:
    """Options with their window written out, and the gateways that are really out there."""

    options: CampaignOptions
    off_loopback: list[str]


def settle_window(site: Site, options: CampaignOptions, *, simulated: bool) -> SettledOptions:
    """Quiet hours are on by default wherever real people may be reached.

    Raises `UsageError` for a gateway that is not registered.
    """
    rows: list[GatewayRow] = []
    if site.paths.db.exists():
        rows = read(
            site,
            list_gateways if simulated else _chosen,
            *(() if simulated else (options.gateways,)),
        )
        if options.gateways:
            rows = [row for row in rows if row.name in options.gateways]
    off = [row.name for row in rows if not is_loopback(row.url)]
    timed = (options.window, options.days, options.skip_dates, options.start, options.deadline)
    zone = options.timezone or (local_zone() if any(timed) or off else None)
    window = options.window or (_WINDOW if off or options.days else "any")
    return SettledOptions(msgspec.structs.replace(options, window=window, timezone=zone), off)


def local_zone() -> str:
    """This machine's IANA zone, UTC when it does not say."""
    named = os.environ.get("TZ", "").lstrip(":")
    if named and "/" in named and not named.startswith("/"):
        return named
    parts = Path("/etc/localtime").resolve().parts
    return "/".join(parts[parts.index("zoneinfo") + 1 :]) if "zoneinfo" in parts else "UTC"


_chosen = chosen_gateways
