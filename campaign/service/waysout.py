"""Routes against what is known of the gateways, before a list is read or a device is started."""

from __future__ import annotations

from campaign.engine.foresight import ASSUMED_PORTS
from campaign.planner.options import CampaignOptions
from campaign.service.ledger import has_ledger, read
from campaign.service.site import Site
from campaign.store.gateways import ports_by_gateway


def simulated_names(count: int) -> list[str]:
    """The gateways that `--simulate COUNT` brings, where they are not there yet."""
    return [f"sim{number}" for number in range(1, count + 1)]


def check_routes(
    site: Site, options: CampaignOptions, *, simulate: int = 0, usual: bool = True
) -> None:
    """Refuse a route to a gateway or port that a campaign cannot use.

    `simulate` gateways are brought by the launch, with the `usual` ports or with others. Raises
    `UsageError`; what is not known yet is let pass, and so is everything without any gateway.
    """
    known = read(site, ports_by_gateway) if has_ledger(site) else {}
    fresh = frozenset(range(1, ASSUMED_PORTS + 1)) if usual else frozenset()
    for name in simulated_names(simulate):
        known.setdefault(name, fresh)
    if options.gateways:
        known = {name: ports for name, ports in known.items() if name in options.gateways}
    if known:
        options.parsed_routes.check_places(known)
