"""The client of a registered device: its address, its password, its sign-in."""

from __future__ import annotations

from typing import cast

from campaign.gateway.client import Device
from campaign.planner.settings import Settings, with_overrides
from campaign.protocol.session import AuthOrder, Crypt
from campaign.service.secrets import find_password
from campaign.service.site import Site
from campaign.store.gateways import GatewayRow


def device_of(site: Site, row: GatewayRow, settings: Settings | None = None) -> Device:
    """A client for `row`; close it with `aclose`. Raises `UsageError` when its password is not
    there."""
    chosen = with_overrides(Settings(), dict(row.settings)) if settings is None else settings
    return Device(
        row.name,
        row.url,
        row.username,
        find_password(site.paths.secrets, row.name, row.secret),
        env=site.env,
        timeout=chosen.client_timeout,
        ca_file=row.ca_file,
        crypt=None if row.crypt is None else Crypt(row.crypt),
        auth_order=cast(AuthOrder, row.auth_order),
        session_seconds=chosen.session_seconds,
    )
