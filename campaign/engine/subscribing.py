"""Subscription: a device pushes its status and its inbound SMS because an operator said so.

A device forgets an unsaved address when it restarts, so what was asked for once is asked for again
in each run of the device, and whenever our own address changed.
"""

from __future__ import annotations

from dataclasses import replace

from campaign.engine.device import Gateway
from campaign.engine.runtime import Run
from campaign.errors import GatewayError, RemoteProtocolError
from campaign.gateway.console import Console
from campaign.store.gateways import Subscription, update_gateway


async def subscribe_device(console: Console, subscription: Subscription, url: str) -> None:
    """Tell a device to push to `url`: its status by a subscription (spec §4.1.2), received SMS by
    its configuration, saved (spec §5.1.2). Raises what the console raises."""
    if subscription.status:
        await console.subscribe(url, subscription.period, all_sims=subscription.all_sims)
    if subscription.sms:
        await console.set_parameters({"sms_url": url})
        await console.save()


async def unsubscribe_device(console: Console, subscription: Subscription) -> None:
    """End both; the device then pushes its status nowhere, and inbound SMS nowhere until a task
    names an address."""
    if subscription.status:
        await console.unsubscribe()
    if subscription.sms:
        await console.set_parameters({"sms_url": ""})
        await console.save()


async def subscribe_if_due(run: Run, gateway: Gateway) -> None:
    """Ask again where the device restarted or our address changed; a refusal is told once and
    never stops sending."""
    row, boot = gateway.row, gateway.boot_id or ""
    if row.subscription is None:
        return
    if (row.subscribed_boot, row.subscribed_url) == (boot, gateway.push_url):
        return
    try:
        await subscribe_device(gateway.device.console, row.subscription, gateway.push_url)
    except (GatewayError, RemoteProtocolError) as error:
        trouble = f"{gateway.name} could not be subscribed ({error})"
        if gateway.subscription_trouble != trouble:
            run.notice(trouble)
        gateway.subscription_trouble = trouble
        return
    gateway.subscription_trouble = None
    url = gateway.push_url
    await run.write(update_gateway, gateway.id, subscribed_boot=boot, subscribed_url=url)
    gateway.row = replace(gateway.row, subscribed_boot=boot, subscribed_url=url)
