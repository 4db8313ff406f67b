"""Replies: listed, searched, and fetched from the devices."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from campaign.engine.device import Gateway
from campaign.engine.fetching import fetch
from campaign.engine.runtime import Run
from campaign.engine.settle import fold_all, inbox_cursor
from campaign.errors import GatewayError, RemoteProtocolError, UsageError
from campaign.planner.durations import parse_duration
from campaign.planner.settings import Settings, with_overrides
from campaign.service.devices import device_of
from campaign.service.gateways import registered
from campaign.service.ledger import ask, has_ledger, read
from campaign.service.locks import FileLock, is_held
from campaign.service.site import Site
from campaign.store.door import InlineStore
from campaign.store.gateways import GatewayRow, list_gateways
from campaign.store.inbound import StoredInbound, list_inbound
from campaign.store.inbox import InboxReader
from campaign.store.journal import begin_epoch
from campaign.store.opening import open_ledger

_LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Selection:
    """Which replies: of one gateway, holding a text, since a time (`2h`, or RFC 3339)."""

    gateway: str | None = None
    search: str | None = None
    since: str | None = None
    opt_outs: bool = False
    limit: int = 100


@dataclass(frozen=True)
class FetchedFrom:
    """What one device brought, or why it could not be asked."""

    gateway: str
    counts: dict[str, int]
    error: str | None = None


def replies(site: Site, selection: Selection, after_id: int | None = None) -> list[StoredInbound]:
    """The latest replies that fit, oldest first; with `after_id` those that came later."""
    if not has_ledger(site):
        return []
    gateway_id = None if selection.gateway is None else registered(site, selection.gateway).id
    return read(
        site,
        list_inbound,
        gateway_id=gateway_id,
        search=selection.search,
        since_ms=_since(site, selection.since),
        opted_out=selection.opt_outs,
        limit=selection.limit,
        after_id=after_id,
    )


def new_replies(site: Site, selection: Selection) -> Iterator[StoredInbound]:
    """Replies as they are stored, from now on; ends only by an interrupt."""
    last = max((message.id for message in replies(site, Selection(limit=1))), default=0)
    while True:
        for message in replies(site, selection, after_id=last):
            last = message.id
            yield message
        time.sleep(_LOOK_SECONDS)  # another process stores them


def _since(site: Site, text: str | None) -> int:
    if text is None:
        return 0
    try:
        return site.env.wall_ms() - round(parse_duration(text) * 1000)
    except UsageError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"--since {text!r}: write 2h, or a time as 2026-03-02T10:00") from error
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)


def unread_pushes(site: Site) -> int:
    """Pushes that the receiver committed and no engine has read yet; 0 while one runs."""
    if is_held(site.paths.lock) or not (site.paths.inbox.exists() and has_ledger(site)):
        return 0
    with closing(InboxReader.open(site.paths.inbox)) as inbox:
        last = inbox.last_id()
        return last - read(site, inbox_cursor, inbox.file_id, last)


async def fetch_replies(
    site: Site, names: Sequence[str], *, delete: bool = False
) -> list[FetchedFrom]:
    """Read the devices' inboxes from where they were last read, and what was pushed meanwhile.

    Through the running engine if there is one. Raises `UsageError` for an unknown gateway.
    """
    rows = [registered(site, name) for name in names] if names else _all(site)
    if not rows:
        raise UsageError("no gateway is registered: campaign gateway add NAME URL --username U")
    lock = FileLock(site.paths.lock)
    if not lock.acquire():
        request = {"cmd": "fetch", "names": [row.name for row in rows], "delete": delete}
        answer = await ask(site, request, seconds=120.0)
        return [_told(row.name, answer["fetched"].get(row.name)) for row in rows]
    try:
        with closing(open_ledger(site.paths.db, site.optouts)) as conn:
            return await _fetch_alone(site, conn, rows, delete=delete)
    finally:
        lock.release()


def _told(name: str, told: dict[str, Any] | None) -> FetchedFrom:
    if told is None:
        return FetchedFrom(name, {}, "the running engine does not use it")
    return FetchedFrom(name, {}, told["error"]) if "error" in told else FetchedFrom(name, told)


def _all(site: Site) -> list[GatewayRow]:
    return read(site, list_gateways) if has_ledger(site) else []


async def _fetch_alone(
    site: Site, conn: sqlite3.Connection, rows: Sequence[GatewayRow], *, delete: bool
) -> list[FetchedFrom]:
    """With no engine running: fold what was pushed, then ask each device; nothing is sent."""
    store = InlineStore(conn)
    found: list[FetchedFrom] = []
    with closing(_inbox(site)) as inbox:
        run = Run(
            env=site.env,
            store=store,
            inbox=inbox,
            optouts=site.optouts,
            connect=lambda row, settings: device_of(site, row, settings),
            push_url=lambda _row: "",
        )
        run.anchor()
        run.epoch = await store.write(begin_epoch)
        await fold_all(run)
        for row in rows:
            settings = with_overrides(Settings(), dict(row.settings))
            gateway = Gateway(row, settings, device_of(site, row, settings), push_url="")
            try:
                fetched = await fetch(run, gateway, delete=delete or None)
                found.append(FetchedFrom(row.name, fetched.counts))
            except (GatewayError, RemoteProtocolError) as error:
                message = error.message if isinstance(error, GatewayError) else str(error)
                found.append(FetchedFrom(row.name, {}, message))
            finally:
                await gateway.device.aclose()
    return found


def _inbox(site: Site) -> InboxReader | _NoInbox:
    return InboxReader.open(site.paths.inbox) if site.paths.inbox.exists() else _NoInbox()


class _NoInbox:
    """Where no receiver has ever run there is nothing to fold."""

    file_id = "none"

    def last_id(self) -> int:
        return 0

    def rows_after(self, _cursor: int, _limit: int) -> list[Any]:
        return []

    def data_version(self) -> int:
        return 0

    def close(self) -> None:
        pass


def reply_json(message: StoredInbound) -> dict[str, Any]:
    """One reply for programs; numbers are data here and whole."""
    return {
        "id": message.id,
        "gateway": message.gateway,
        "port": message.port,
        "iccid": message.iccid,
        "sender": message.sender,
        "recipient": message.recipient,
        "text": message.text,
        "received_at": _moment(message.received_ms),
        "device_at": None if message.at is None else _moment(message.at * 1000),
        "source": message.source,
        "opted_out": message.opted_out,
    }


def _moment(ms: int) -> str | None:
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return None  # a device's clock may say anything
