"""Reaching a registered device from a command: its client, and errors that say what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import trio

from campaign.errors import CredentialsRefused, GatewayError, InDoubt, NotSent, RemoteProtocolError
from campaign.gateway.client import Device
from campaign.service.devices import device_of
from campaign.service.site import Site
from campaign.store.gateways import GatewayRow


class DeviceRefused(GatewayError):
    """The device was reached and said no to what was asked."""

    exit_code = 1


@asynccontextmanager
async def reach(site: Site, row: GatewayRow) -> AsyncIterator[Device]:
    """A client for a device. Every way not to reach it is a `GatewayError` (exit code 5), a refusal
    of what was asked a `DeviceRefused` (1)."""
    device = device_of(site, row)
    try:
        async with _advising(row):
            yield device
    finally:
        with trio.CancelScope(shield=True):
            await device.aclose()


@asynccontextmanager
async def _advising(row: GatewayRow) -> AsyncIterator[None]:
    """Every way not to reach a device as a `GatewayError` (exit code 5) that says what to do."""
    try:
        yield
    except CredentialsRefused as error:
        raise CredentialsRefused(
            row.name,
            f"it refuses the user {row.username!r} or the password ({error.message}): campaign"
            f" gateway set {row.name} username=… --password-stdin",
        ) from error
    except NotSent as error:
        secure = ", and is its certificate valid (--ca-file)" * (
            urlsplit(row.url).scheme == "https"
        )
        raise NotSent(
            row.name,
            f"cannot be reached at {row.url} ({error.message}): is it on, is the address right"
            f"{secure}? campaign gateway set {row.name} url=…",
        ) from error
    except InDoubt as error:
        raise InDoubt(
            row.name,
            f"does not answer as a gateway at {row.url} ({error.message}): is the address right,"
            " is its HTTP interface switched on?",
        ) from error
    except RemoteProtocolError as error:
        if "refused:" in str(error):
            words = str(error).partition("refused:")[2].strip()
            raise DeviceRefused(row.name, f"it answered {words}") from error
        raise GatewayError(
            row.name,
            f"what answers at {row.url} does not speak this protocol ({error}): is the address"
            " right, is its HTTP interface switched on?",
        ) from error
