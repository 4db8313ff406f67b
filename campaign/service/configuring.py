"""Reading and setting a device's configuration by parameter name (spec §5.1.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from campaign.errors import LocalProtocolError, UsageError
from campaign.protocol.commands import parameter_name
from campaign.service.gateways import registered
from campaign.service.operating import notation_of
from campaign.service.reaching import reach
from campaign.service.site import Site


@dataclass(frozen=True)
class Changed:
    """How many parameters the device took, and whether they outlast its restart."""

    taken: int
    saved: bool


async def get_parameters(site: Site, name: str, names: Sequence[str]) -> dict[str, str]:
    """Parameters by name; those the device does not know are missing. Raises `UsageError`,
    `GatewayError`."""
    wanted = [_named(text) for text in names]
    row = registered(site, name)
    async with reach(site, row) as device:
        told = await device.console.get_parameters(wanted)
    folded = {key.lower(): value for key, value in told.items()}
    # an address of ours holds the token that lets a push in: enough of it to tell two apart
    shown = f"{row.token[:4]}…"
    return {
        key: folded[key.lower()].replace(row.token, shown)
        for key in wanted
        if key.lower() in folded
    }


async def set_parameters(
    site: Site, name: str, values: Mapping[str, str], *, save: bool
) -> Changed:
    """Set parameters, and save them if asked. Raises `UsageError`, `GatewayError`."""
    chosen = {_named(key): value for key, value in values.items()}
    row = registered(site, name)
    async with reach(site, row) as device:
        # later firmware, which writes ports with dots, takes many values as a text body
        status = await device.console.snapshot(all_sims=False)
        as_body = notation_of(status, row) == "dotted"
        taken = await device.console.set_parameters(chosen, as_body=as_body)
        if save:
            await device.console.save()
    return Changed(taken, save)


def _named(text: str) -> str:
    try:
        return parameter_name(text)
    except LocalProtocolError as error:
        raise UsageError(str(error)) from error
