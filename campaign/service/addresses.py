"""Addresses: of devices as operators write them, and of a receiver as devices have to see it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from urllib.parse import urlsplit

from campaign.errors import UsageError
from campaign.service.site import Site, is_loopback, shown
from campaign.store.gateways import GatewayRow
from campaign.store.inbox import InboxReader, ReceiverBinding

DEFAULT_LISTEN = ("127.0.0.1", 0)
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - recognised, not bound


def device_url(text: str) -> str:
    """A device's base URL, checked. Raises `UsageError` that says what is wrong with it."""
    shape = "write it as http://HOST or http://HOST:PORT"
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as error:
        raise UsageError(f"{text!r} is not a URL ({error}): {shape}") from error
    if parts.username is not None or parts.password is not None:
        # the text itself is not repeated: it holds a password
        raise UsageError(
            "credentials do not belong in the URL: use --username and --password-env,"
            " --password-file or --password-stdin"
        )
    if parts.scheme not in ("http", "https"):
        raise UsageError(f"{text!r} has no http:// or https://: {shape}")
    if not parts.hostname or any(char.isspace() for char in text.strip()) or port == 0:
        raise UsageError(f"{text!r} is not an address: {shape}")
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise UsageError(f"{text!r}: a device's URL has no query and no fragment: {shape}")
    return text.strip().rstrip("/")


def check_addresses(
    site: Site,
    rows: Sequence[GatewayRow],
    listen: tuple[str, int] | None,
    public_url: str | None,
) -> None:
    """A device elsewhere cannot reach a receiver on this machine's loopback: `UsageError`."""
    remote = [row.name for row in rows if not is_loopback(row.url)]
    if not remote:
        return
    stored = None
    if site.paths.inbox.exists():
        with closing(InboxReader.open(site.paths.inbox)) as inbox:
            stored = inbox.binding()
    host, port = listen or ((stored.host, stored.port) if stored else ("127.0.0.1", 0))
    told = public_url or (stored.public_url if stored else None) or f"http://{shown(host, port)}"
    if is_loopback(told) or urlsplit(told).hostname in _WILDCARDS:
        raise UsageError(
            f"{', '.join(remote)} cannot reach a receiver on {urlsplit(told).hostname}: "
            "add --listen 0.0.0.0:PORT --public-url http://THIS-MACHINE:PORT"
        )


def chosen_address(
    stored: ReceiverBinding | None, asked: tuple[str, int] | None
) -> tuple[str, int]:
    """The stored address, else the asked one, else a free port on loopback.

    UsageError where the two contradict: devices were told the stored one. Port 0 asks for any.
    """
    if stored is None:
        return asked or DEFAULT_LISTEN
    fixed = (stored.host, stored.port)
    if asked is not None and asked != fixed and asked != (stored.host, 0):
        raise UsageError(
            f"the receiver of this ledger is fixed at {shown(*fixed)}, where devices report to;"
            f" it cannot listen on {shown(*asked)}"
        )
    return fixed
