"""Decisions of an operator from a command: looked at first, then carried out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from campaign.engine.verbs import perform
from campaign.service.ledger import change, read
from campaign.service.site import Site
from campaign.store.optouts import create_optouts


def preview(site: Site, verb: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What `resolve` or `retry` would do; the ledger is only read. Raises as they do."""
    if site.paths.db.exists():  # whoever opted out is left out; at first there is no store of them
        create_optouts(site.optouts)
    return read(site, perform, site.env.wall_ms(), verb, {**parameters, "dry_run": True})


async def decide(site: Site, verb: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Carry it out, through the running engine if there is one, which then goes on with it."""
    return await change(site, verb, parameters)
