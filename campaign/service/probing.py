"""Probing a device (`gateway test`): does the device answer, and does it reach our receiver.

The first is asked of the device directly and stores nothing; success lifts an alarm, which is what
an alarm waits for. The second cannot be asked without changing something: a device knows one
address for its status and does not tell which (spec §4.1.2), so an earlier one is replaced by ours
and, after the test, by none.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Any

import trio

from campaign.errors import GatewayError, RemoteProtocolError
from campaign.gateway.client import Device
from campaign.gateway.credentials import Negotiated
from campaign.protocol.codes import USABLE_PORT_CODES, port_meaning
from campaign.protocol.messages import DevStatus, PortState
from campaign.service.addresses import check_addresses
from campaign.service.gateways import registered
from campaign.service.ledger import change
from campaign.service.locks import FileLock
from campaign.service.processes import ensure_receiver
from campaign.service.reaching import reach
from campaign.service.site import Site
from campaign.store.inbox import InboxReader

PUSH_SECONDS = 15.0
_LOOK_SECONDS = 0.05
_PERIOD = 60


@dataclass(frozen=True)
class DeviceCheck:
    """A device that answered. `lifted` is the alarm that stopped it until now."""

    name: str
    url: str
    status: DevStatus
    boot_id: str
    lifted: str | None
    negotiated: Negotiated | None = None
    """The secure session, None where user and password stand in each URL."""

    @property
    def usable(self) -> int:
        return sum(is_usable(port) for port in self.status.ports)


@dataclass(frozen=True)
class PushCheck:
    """Whether the device's push came in; `address` is what it was told, without the token.

    `left`: the device did not answer when its pushes were to be ended, so they may go on.
    """

    address: str
    arrived: bool
    seconds: float
    left: bool


def is_usable(port: PortState) -> bool:
    """Whether this port could send an SMS now."""
    return port.code in USABLE_PORT_CODES


def state_words(port: PortState) -> str:
    """A port's state as the device tells it: code and meaning, else its own words."""
    return (
        port.text or "not told" if port.code is None else f"{port.code} {port_meaning(port.code)}"
    )


def check_json(device: DeviceCheck, push: PushCheck | None) -> dict[str, Any]:
    """What `gateway test --json` prints."""
    status = device.status
    return {
        "name": device.name,
        "url": device.url,
        "version": status.ver,
        "mac": status.mac,
        "ip": status.ip,
        "boot_id": device.boot_id,
        "usable_ports": device.usable,
        "alarm_lifted": device.lifted,
        "session": None
        if device.negotiated is None
        else {
            "crypt": str(device.negotiated.crypt),
            "auth_order": device.negotiated.auth_order,
            "expires": device.negotiated.expires,
        },
        "ports": [
            {
                "port": str(port.port),
                "code": port.code,
                "status": state_words(port),
                "usable": is_usable(port),
                "operator": port.operator,
                "number": port.number,
                "iccid": port.iccid,
                "balance": port.balance,
                "signal": port.signal,
            }
            for port in status.ports
        ],
        "push": None
        if push is None
        else {
            "address": push.address,
            "arrived": push.arrived,
            "seconds": round(push.seconds, 2),
        },
    }


async def check_device(site: Site, name: str) -> DeviceCheck:
    """Ask the device for its status and its run. Raises `GatewayError` with what to do about it."""
    row = registered(site, name)
    async with reach(site, row) as device:
        status = await device.status()
        boot = await device.boot_id()
        negotiated = device.negotiated
    if negotiated is not None and negotiated.auth_order != row.auth_order:
        learned = {"name": name, "auth_order": negotiated.auth_order}
        await change(site, "gateway-learned", learned)
    lifted = None
    if row.stopped is not None:
        lifted = (await change(site, "gateway-lift", {"name": name}))["lifted"]
    return DeviceCheck(name, row.url, status, boot.page.ssrc, lifted, negotiated)


async def check_push(
    site: Site,
    name: str,
    *,
    listen: tuple[str, int] | None = None,
    public_url: str | None = None,
    seconds: float = PUSH_SECONDS,
) -> PushCheck:
    """Have the device push its status to our receiver, and wait for it.

    Raises `UsageError` for an address it cannot reach, `GatewayError` if it does not answer.
    """
    row = registered(site, name)
    check_addresses(site, [row], listen, public_url)
    # While somebody holds the engine's lock, a receiver that was started for us does not end.
    lock = FileLock(site.paths.lock)
    lock.acquire()
    try:
        receiver = await ensure_receiver(site.paths, listen, public_url)
        with closing(InboxReader.open(site.paths.inbox)) as inbox:
            began, seen = site.env.monotonic(), inbox.last_id()
            async with reach(site, row) as device:
                await device.console.subscribe(
                    f"{receiver.base_url}/p/{row.token}", _PERIOD, all_sims=False
                )
                try:
                    arrived = await _arrival(inbox, row.id, seen, seconds)
                    took = site.env.monotonic() - began
                finally:
                    with trio.CancelScope(shield=True):
                        left = not await _unsubscribed(device)
            return PushCheck(receiver.base_url, arrived, took, left)
    finally:
        lock.release()


async def _unsubscribed(device: Device) -> bool:
    try:
        await device.console.unsubscribe()
    except (GatewayError, RemoteProtocolError):
        return False  # the test has its result; that pushes may go on is part of it
    return True


async def _arrival(inbox: InboxReader, gateway_id: int, seen: int, seconds: float) -> bool:
    with trio.move_on_after(seconds):
        while True:  # another process commits it
            rows = inbox.rows_after(seen, 100)
            if any(row.gateway_id == gateway_id for row in rows):
                return True
            if rows:
                seen = rows[-1].id
                continue
            await trio.sleep(_LOOK_SECONDS)
    return False
