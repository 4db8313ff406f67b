"""Fetching what a device received (spec §8): nothing is missed while no push arrives.

The cursor counts within one run of the device: another `ssrc`, or a next message below it, starts
from the first again. It moves in the transaction that stores the page, and only then may the device
be told to delete what was stored.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from campaign.engine.device import Gateway
from campaign.engine.received import Received, fold_received, keep_optouts, who_opts_out
from campaign.engine.runtime import Run
from campaign.errors import GatewayError, InDoubt, RemoteProtocolError
from campaign.gateway.answers import PageReading
from campaign.gateway.client import Device
from campaign.protocol.messages import SmsPage
from campaign.store.gateways import update_gateway
from campaign.store.inbound import known_numbers
from campaign.store.journal import incident, keep_evidence

_FIRST = 1
_PAGE, _LARGEST_PAGE = 50, 200
"""Messages asked for at once: first, and at most, twice as many after each page that was full."""
_MOST_PAGES = 400


class Door(Protocol):
    """The ledger as fetching needs it: a running engine's, or a command's own."""

    async def read(self, fn: Any, *args: Any) -> Any: ...
    async def write(self, fn: Any, *args: Any) -> Any: ...


@dataclass(frozen=True)
class Cursor:
    """Up to where a device's inbox is stored, valid only within its run `ssrc`."""

    ssrc: str | None = None
    following: int | None = None


@dataclass(frozen=True)
class Fetched:
    """What one fetch brought. `boot` is the device's run, `cursor` where the next one begins."""

    boot: str
    cursor: Cursor
    last: PageReading
    replies: int = 0
    receipts: int = 0
    opted_out: int = 0
    deleted: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """What was new, by kind."""
        return {
            name: getattr(self, name) for name in ("replies", "receipts", "opted_out", "deleted")
        }


async def fetch_inbox(
    device: Device,
    door: Door,
    optouts: Path,
    now_ms: Callable[[], int],
    gateway_id: int,
    cursor: Cursor,
    *,
    delete: bool = False,
) -> Fetched:
    """Read the device's inbox from the cursor to its end and store it, page by page, each with the
    time at which it came.

    The end is where it was when the first page had come: a busy device receives while it is read,
    and whoever waits for this would wait for as long as it does. Raises what `Device.sms_page`
    raises; what was stored until then stays stored.
    """
    at = cursor.following or _FIRST
    reading = await device.sms_page(sms_id=at, sms_num=_PAGE)
    if (reading.page.ssrc or None) != cursor.ssrc or 0 < reading.page.next_sms < at:
        if at != _FIRST:
            at = _FIRST
            reading = await device.sms_page(sms_id=at, sms_num=_PAGE)
        cursor = Cursor(reading.page.ssrc or None, at)
    done = Fetched(reading.page.ssrc, cursor, reading)
    extent = _Extent()
    for _ in range(_MOST_PAGES):
        page = reading.page
        if page.ssrc != done.boot:
            break  # it restarted between two pages: the next fetch begins anew
        told = len(page.messages) + len(page.odd)
        following = page.next_sms if page.next_sms > at else at + told
        done = replace(done, cursor=Cursor(page.ssrc or None, following), last=reading)
        done = await _keep(door, optouts, now_ms(), gateway_id, at, reading, done)
        if delete and told:
            gone = await device.sms_page(sms_id=at, sms_num=told, delete=True)
            done = replace(done, deleted=done.deleted + told)
            # a device that restarted, or whose full inbox dropped its oldest, deletes others than
            # were read: it lists them in its answer, and nowhere else any more
            done = await _keep(door, optouts, now_ms(), gateway_id, at, gone, done)
        if following == at or not told:
            break
        at = following
        if await extent.is_read(device, done.boot, at, told):
            break
        reading = await device.sms_page(sms_id=at, sms_num=extent.page)
    return done


@dataclass
class _Extent:
    """How much of an inbox is asked for at once, and up to where it is read."""

    page: int = _PAGE
    end: int | None = None
    is_asked: bool = False

    async def is_read(self, device: Device, boot: str, at: int, told: int) -> bool:
        """Whether all is, after a page of `told` messages up to `at`.

        A full page is no end, whatever was told: nobody's opt-out is left unread for haste.
        """
        if not self.is_asked:
            self.is_asked, self.end = True, await _end_of(device, boot, at)
        if told >= self.page:
            self.page = min(2 * self.page, _LARGEST_PAGE)
            return False
        return self.end is not None and at >= self.end


async def _end_of(device: Device, boot: str, at: int) -> int | None:
    """Where the inbox of this run of the device ends now, by its own word; None if it does not
    tell, or what it tells cannot be, for it is known to reach to `at`."""
    try:
        page = (await device.boot_id()).page
    except (GatewayError, RemoteProtocolError):
        return None  # whoever reads on will see what is wrong
    return page.next_sms if page.ssrc == boot and page.next_sms >= at else None


async def _keep(
    door: Door,
    optouts: Path,
    now_ms: int,
    gateway_id: int,
    at: int,
    reading: PageReading,
    done: Fetched,
) -> Fetched:
    """Store a page with the cursor, opt-outs first."""
    senders = who_opts_out(reading.page.messages)
    numbers = await door.read(known_numbers, senders) if senders else []
    new_optouts = keep_optouts(optouts, now_ms, numbers) if numbers else 0
    stored: Received = await door.write(_store, now_ms, gateway_id, at, reading, done.cursor)
    return replace(
        done,
        replies=done.replies + stored.replies,
        receipts=done.receipts + stored.receipts,
        opted_out=done.opted_out + new_optouts,
    )


def _store(
    conn: sqlite3.Connection, now_ms: int, gateway_id: int, at: int, reading: PageReading,
    following: Cursor,
) -> Received:  # fmt: skip
    page: SmsPage = reading.page
    if page.messages or page.odd:
        keep_evidence(conn, now_ms, gateway_id, "inbox", f"{page.ssrc} {at}", reading.raw)
    for odd in page.odd:
        detail = f"a message of the device's inbox is not understood: {odd}"[:300]
        incident(conn, now_ms, "anomaly", detail, gateway_id=gateway_id)
    stored = fold_received(conn, now_ms, gateway_id, page.messages, "poll")
    update_gateway(conn, gateway_id, sms_ssrc=following.ssrc, sms_next=following.following)
    return stored


async def fetch(run: Run, gateway: Gateway, *, delete: bool | None = None) -> Fetched:
    """`fetch_inbox` for a running engine: who opted out is taken out of what is on the way."""
    row = gateway.row
    fetched = await fetch_inbox(
        gateway.device,
        _EngineDoor(run),
        run.optouts,
        run.now_ms,
        gateway.id,
        Cursor(row.sms_ssrc, row.sms_next),
        delete=run.settings_now(gateway).delete_fetched if delete is None else delete,
    )
    gateway.row = replace(
        gateway.row, sms_ssrc=fetched.cursor.ssrc, sms_next=fetched.cursor.following
    )
    if fetched.opted_out:
        for other in run.gateways.values():
            other.duties.ring()
    if fetched.replies or fetched.receipts:
        run.ring()
    return fetched


async def fetch_if_there(run: Run, gateway: Gateway) -> Fetched | None:
    """`fetch`, or None from a device that has no such page: it can then not be told apart from its
    earlier runs, so nothing is ever offered to it twice. Raises what says that it is out of reach.
    """
    try:
        return await fetch(run, gateway)
    except RemoteProtocolError:
        return None
    except InDoubt as error:
        if not error.message.startswith("HTTP 404"):
            raise
        return None


class _EngineDoor:
    """Writes in the run's epoch."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def read(self, fn: Any, *args: Any) -> Any:
        return await self._run.store.read(fn, *args)

    async def write(self, fn: Any, *args: Any) -> Any:
        return await self._run.write(fn, *args)
