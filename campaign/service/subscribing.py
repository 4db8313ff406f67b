"""Subscriptions by an operator's word: stored, and set on the device at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import trio

from campaign.engine.subscribing import subscribe_device, unsubscribe_device
from campaign.errors import UsageError
from campaign.service.addresses import check_addresses
from campaign.service.gateways import registered
from campaign.service.ledger import change
from campaign.service.locks import FileLock, is_held
from campaign.service.processes import ensure_receiver
from campaign.service.reaching import reach
from campaign.service.site import Site
from campaign.store.gateways import GatewayRow, Subscription

_ENGINE_SECONDS = 15.0
_LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Subscribed:
    """`address` is where the device pushes to, without the token; `told`: it took it."""

    name: str
    subscription: Subscription | None
    address: str | None
    told: bool

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "subscription": msgspec.to_builtins(self.subscription),
            "address": self.address,
            "told": self.told,
        }


async def subscribe(
    site: Site,
    name: str,
    subscription: Subscription,
    *,
    listen: tuple[str, int] | None = None,
    public_url: str | None = None,
) -> Subscribed:
    """Have a device push to our receiver from now on, in each of its runs.

    A running engine tells it; without one this does. Raises `UsageError` for an address the device
    cannot reach, `GatewayError` when it does not answer.
    """
    row = registered(site, name)
    if subscription.period < 60:
        raise UsageError(f"--period {subscription.period}: devices take 60 s at least")
    if not (subscription.status or subscription.sms):
        raise UsageError("neither status nor SMS: gateway subscribe --off ends a subscription")
    check_addresses(site, [row], listen, public_url)
    lock = FileLock(site.paths.lock)
    if not lock.acquire():
        return await _through_the_engine(site, name, subscription)
    try:
        receiver = await ensure_receiver(site.paths, listen, public_url)
        url = f"{receiver.base_url}/p/{row.token}"
        async with reach(site, row) as device:
            boot = await device.boot_id()
            await subscribe_device(device.console, subscription, url)
    finally:
        lock.release()
    told = {"boot": boot.page.ssrc, "url": url}
    await _store(site, name, subscription, told)
    return Subscribed(name, subscription, receiver.base_url, told=True)


async def unsubscribe(site: Site, name: str) -> Subscribed:
    """End a subscription, on the device too. Raises `GatewayError` when it does not answer; then
    it is not repeated any more, but the device goes on until its restart."""
    row = registered(site, name)
    await _store(site, name, None, None)
    async with reach(site, row) as device:
        await unsubscribe_device(device.console, row.subscription or Subscription())
    return Subscribed(name, None, None, told=True)


async def _through_the_engine(site: Site, name: str, subscription: Subscription) -> Subscribed:
    await _store(site, name, subscription, None)
    row: GatewayRow = registered(site, name)
    with trio.move_on_after(_ENGINE_SECONDS):
        while row.subscribed_url is None and is_held(site.paths.lock):
            await trio.sleep(_LOOK_SECONDS)  # another process tells the device
            row = registered(site, name)
    address = row.subscribed_url and row.subscribed_url.rpartition("/p/")[0]
    return Subscribed(name, subscription, address, told=row.subscribed_url is not None)


async def _store(
    site: Site, name: str, subscription: Subscription | None, told: dict[str, str] | None
) -> None:
    parameters = {
        "name": name, "subscription": msgspec.to_builtins(subscription), "told": told,
    }  # fmt: skip
    await change(site, "gateway-subscribe", parameters)
