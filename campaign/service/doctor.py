"""`campaign doctor`: is everything in place to send, and if not, what to do. Changes nothing."""

from __future__ import annotations

import platform
import shutil
import sqlite3
import stat
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, closing
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import httpx

from campaign.engine.settle import inbox_cursor
from campaign.errors import CampaignError, StoreError
from campaign.planner.states import CampaignState
from campaign.service.defaults import local_zone
from campaign.service.ledger import ask
from campaign.service.locks import FileLock, is_held
from campaign.service.secrets import find_password
from campaign.service.simulated import Simulated, is_simulator
from campaign.service.site import Site, shown
from campaign.service.sources import EVERYBODY
from campaign.store.campaigns import list_campaigns
from campaign.store.gateways import GatewayRow, list_gateways
from campaign.store.health import (
    SQLITE_VERSION,
    faults,
    is_sqlite_new_enough,
    missing_migrations,
)
from campaign.store.inbox import InboxReader, ReceiverBinding
from campaign.store.lineage import why_old
from campaign.store.opening import open_reader
from campaign.store.optouts import list_optouts

_ANSWER_SECONDS = 5.0
_LITTLE_SPACE, _NO_SPACE = 1 << 30, 64 << 20
_PLAUSIBLE_YEARS = range(2025, 2100)


class Verdict(Enum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """One thing looked at. `text` says what was found, and what to do where it is not right."""

    name: str
    verdict: Verdict
    text: str


async def examine(site: Site) -> list[Check]:
    """Every check in turn; one that cannot be made is a failed one."""
    async with aclosing(_checks(site)) as checks:
        return [check async for check in checks]


async def _checks(site: Site) -> AsyncGenerator[Check, None]:
    yield _versions()
    yield _clock(site)
    yield _time_zones()
    yield _space(site.paths.db.parent)
    yield _optouts(site.optouts)
    yield _secrets(site.paths.secrets)
    if not site.paths.db.exists():
        yield Check(
            "ledger", Verdict.OK, f"none at {site.paths.db} yet: campaign demo or launch makes it"
        )
        return
    yield await _engine(site)
    binding = _binding(site)
    if isinstance(binding, Check):
        yield binding
    else:
        yield await _receiver(site, binding)
    try:
        with closing(open_reader(site.paths.db, site.optouts, any_schema=True)) as conn:
            for check in _ledger(site, conn):
                yield check
    except StoreError as error:
        yield Check("ledger", Verdict.FAIL, str(error))
    except sqlite3.Error as error:
        yield Check("ledger", Verdict.FAIL, f"{site.paths.db} cannot be read: {error}")


def _versions() -> Check:
    text = f"Python {platform.python_version()}, SQLite {SQLITE_VERSION}"
    if not is_sqlite_new_enough():
        return Check("versions", Verdict.FAIL, f"{text}: SQLite 3.37 or later is needed")
    # SQLite up to 3.51.2 could corrupt a WAL that two connections write and reset at once.
    return Check("versions", Verdict.OK, f"{text} (each file has one writer)")


def _clock(site: Site) -> Check:
    now = site.env.wall()
    text = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    if now.year not in _PLAUSIBLE_YEARS:
        return Check("clock", Verdict.FAIL, f"{text}: set this machine's clock")
    return Check("clock", Verdict.OK, text)


def _time_zones() -> Check:
    here = local_zone()
    try:
        for name in ("Asia/Shanghai", here):
            ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        return Check(
            "time zones", Verdict.FAIL, f"{error}: sending windows need the package tzdata"
        )
    return Check("time zones", Verdict.OK, f"known; this machine's is {here}")


def _space(folder: Path) -> Check:
    place = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(place).free
    text = f"{free / (1 << 30):.1f} GiB free at {place}"
    if free < _NO_SPACE:
        return Check("disk", Verdict.FAIL, f"{text}: too little to send safely")
    return Check("disk", Verdict.WARN if free < _LITTLE_SPACE else Verdict.OK, text)


def _optouts(path: Path) -> Check:
    if not path.exists():
        return Check("opt-outs", Verdict.OK, f"none yet; they will be kept in {path}")
    try:
        count = sum(1 for _ in list_optouts(path))
    except (sqlite3.Error, StoreError) as error:
        return Check("opt-outs", Verdict.FAIL, str(error))
    return Check("opt-outs", Verdict.OK, f"{count} in {path}")


def _secrets(path: Path) -> Check:
    if not path.exists():
        return Check("secrets", Verdict.OK, "no password is stored")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return Check("secrets", Verdict.FAIL, f"others can read it: chmod 600 {path}")
    return Check("secrets", Verdict.OK, f"only you can read {path.name}")


async def _engine(site: Site) -> Check:
    if not is_held(site.paths.lock):
        return Check("engine", Verdict.OK, "none runs")
    holder = FileLock(site.paths.lock).holder()
    try:
        await ask(site, {"cmd": "status"}, seconds=_ANSWER_SECONDS)
    except CampaignError as error:
        return Check("engine", Verdict.FAIL, f"process {holder} holds the ledger: {error}")
    return Check("engine", Verdict.OK, f"process {holder} holds the ledger and answers")


def _binding(site: Site) -> ReceiverBinding | Check | None:
    if not site.paths.inbox.exists():
        return None
    try:
        with closing(InboxReader.open(site.paths.inbox)) as inbox:
            return inbox.binding()
    except StoreError as error:
        return Check("receiver", Verdict.FAIL, str(error))


async def _receiver(site: Site, binding: ReceiverBinding | None) -> Check:
    held = is_held(site.paths.inbox_lock)
    if binding is None:
        text = "is just starting" if held else "none was needed yet"
        return Check("receiver", Verdict.OK, text)
    address = shown(binding.host, binding.port)
    told = f", announced as {binding.public_url}" if binding.public_url else ""
    if binding.allow not in (None, EVERYBODY):
        told += f", hears only {binding.allow}"
    if not held:
        text = f"none runs; it starts at {address}{told} when needed"
        return Check("receiver", Verdict.OK, text)
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=_ANSWER_SECONDS) as client:
            healthy = (await client.get(f"http://{address}/healthz")).is_success
    except httpx.HTTPError:
        healthy = False
    if not healthy:
        text = f"process {binding.pid} does not answer at {address}: campaign listen --stop"
        return Check("receiver", Verdict.FAIL, text)
    return Check("receiver", Verdict.OK, f"process {binding.pid} answers at {address}{told}")


def _ledger(site: Site, conn: sqlite3.Connection) -> Iterator[Check]:
    wrong = faults(conn)
    if wrong:
        yield Check("ledger", Verdict.FAIL, f"{site.paths.db} is damaged: {wrong[0]}")
        return
    behind = missing_migrations(conn)
    if behind:
        text = (
            f"{site.paths.db} is empty or of an earlier version: campaign db migrate, or the next"
            " launch or resume, mends it"
        )
        yield Check("ledger", Verdict.WARN, text)
        return
    old = why_old(conn)
    if old is not None:
        text = f"{old}: campaign db restore {site.paths.db} makes it one to go on with"
        yield Check("ledger", Verdict.FAIL, text)
    else:
        yield Check("ledger", Verdict.OK, f"{site.paths.db} is whole")
    yield from _campaigns(site, conn)
    yield from _inbox(site, conn)
    rows = list_gateways(conn)
    if not rows:
        yield Check("gateways", Verdict.OK, "none is registered: campaign gateway add")
    for row in rows:
        yield _gateway(site, row)


def _campaigns(site: Site, conn: sqlite3.Connection) -> Iterator[Check]:
    names = [row.name for row in list_campaigns(conn, (CampaignState.RUNNING,))]
    if names and not is_held(site.paths.lock):
        text = f"{', '.join(names)} running, but no engine runs: campaign resume"
        yield Check("campaigns", Verdict.WARN, text)


def _inbox(site: Site, conn: sqlite3.Connection) -> Iterator[Check]:
    if not site.paths.inbox.exists():
        return
    try:
        with closing(InboxReader.open(site.paths.inbox)) as inbox:
            last = inbox.last_id()
            waiting = last - inbox_cursor(conn, inbox.file_id, last)
    except StoreError as error:
        yield Check("inbox", Verdict.FAIL, str(error))
        return
    if waiting and not is_held(site.paths.lock):
        what = "1 push is" if waiting == 1 else f"{waiting} pushes are"
        text = f"{what} not yet taken over: campaign resume"
        yield Check("inbox", Verdict.WARN, text)
    else:
        text = f"{waiting} on their way into the ledger" if waiting else "every push is taken over"
        yield Check("inbox", Verdict.OK, text)


def _gateway(site: Site, row: GatewayRow) -> Check:
    name = f"gateway {row.name}"
    try:
        find_password(site.paths.secrets, row.name, row.secret)
    except CampaignError as error:
        return Check(name, Verdict.FAIL, str(error))
    if row.stopped is not None:
        text = f"stopped by an alarm: {row.stopped}; campaign gateway test {row.name} lifts it"
        return Check(name, Verdict.WARN, text)
    if row.simulated is not None and not is_simulator(Simulated.decode(row.simulated).pid):
        return Check(name, Verdict.OK, "simulated, not running: launch and resume start it again")
    return Check(name, Verdict.OK, f"{row.url}, its password is there")
