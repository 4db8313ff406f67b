"""Receipts come by the push for inbound messages, which a device has one address for: asking for
them points all of its inbound messages at this load, those of people too. So the address is read
before, and written back at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from campaign.errors import GatewayError, ProtocolError

_PARAMETER: Final = "sms_url"


class Configured(Protocol):
    """A device's parameters (`gateway.console.Console`), as far as this file needs them."""

    async def get_parameters(self, names: Sequence[str]) -> dict[str, str]: ...

    async def set_parameters(self, values: Mapping[str, str], *, as_body: bool = False) -> int: ...


async def inbound_url(console: Configured) -> str | None:
    """Where the device pushes inbound messages, "" for nowhere; None when it does not say."""
    try:
        return (await console.get_parameters([_PARAMETER])).get(_PARAMETER)
    except (GatewayError, ProtocolError):
        return None


async def point_back(console: Configured, before: str, ours: str) -> bool:
    """Undo what requests with `ours` did to the address; whether it stands as it did `before`."""
    now = await inbound_url(console)
    if now is not None and now != ours:
        return True  # never re-pointed, or by somebody else since
    try:
        await console.set_parameters({_PARAMETER: before})
    except (GatewayError, ProtocolError):
        return False
    return await inbound_url(console) == before
