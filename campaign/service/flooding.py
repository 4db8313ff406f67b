"""Floods of a receiver: one that runs, by its devices' address, or a fresh one with an inbox that
nobody needs.

The fresh one is what every ledger has: a process of its own, every push on disk before its 200. It
lives in a folder of its own, which goes with it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path

import trio

from campaign.load.flood import Flood, flood
from campaign.load.outcome import Outcome
from campaign.load.pushes import Ear
from campaign.load.trial import Pulse
from campaign.service.ledger import read
from campaign.service.loading import Ran, interruptible, watched
from campaign.service.processes import ensure_receiver, stop_receiver
from campaign.service.site import Site
from campaign.store.door import transaction
from campaign.store.gateways import add_gateway, receiver_tokens
from campaign.store.inbox import InboxReader
from campaign.store.opening import open_ledger


@dataclass(frozen=True)
class Flooded:
    """A receiver to be flooded; `committed` counts the pushes in its inbox, if that is at hand."""

    ear: Ear
    committed: Callable[[], int] | None = None


async def run_flood(
    site: Site,
    urls: tuple[str, ...],
    devices: int,
    plan: Callable[[Ear], Flood],
    *,
    on_second: Callable[[Pulse], None],
    metrics: tuple[str, int] | None = None,
    say: Callable[[str], None],
) -> Ran[Outcome]:
    """Flood the receiver at these addresses, or without any a fresh one with so many devices."""
    outcome: Outcome | None = None
    async with interruptible() as interrupt, _receiver(site, urls, devices, say) as receiver:
        planned = plan(receiver.ear)
        async with watched(receiver.ear.url, on_second, metrics, say) as second:
            ending = interrupt.scope()
            interrupt.begin()
            outcome = await flood(
                planned, site.env, committed=receiver.committed, on_second=second, ending=ending
            )
    return Ran(outcome, interrupt.came)


@asynccontextmanager
async def _receiver(
    site: Site, urls: tuple[str, ...], devices: int, say: Callable[[str], None]
) -> AsyncIterator[Flooded]:
    if urls:
        yield Flooded(Ear.parse(urls))
        return
    with tempfile.TemporaryDirectory(prefix="campaign-receiver-") as folder:
        fresh = replace(Site.at(f"{folder}/c.db", f"{folder}/optouts.db"), env=site.env)
        _register(fresh, devices)
        db = str(fresh.paths.db)
        # not an automatic one, which ends when it sees no task in flight
        command = [
            sys.executable,
            "-m",
            "campaign",
            "--db",
            db,
            "listen",
            "--listen",
            "127.0.0.1:0",
        ]
        try:
            address = await ensure_receiver(fresh.paths, command=command)
            say(f"a fresh receiver listens at {address.base_url}")
            tokens = read(fresh, receiver_tokens)
            ear = Ear.parse([f"{address.base_url}/p/{token}" for token in tokens])
            yield Flooded(ear, lambda: _count(fresh.paths.inbox))
        finally:
            with trio.CancelScope(shield=True):
                await stop_receiver(fresh.paths)


def _register(site: Site, devices: int) -> None:
    """Devices that only push: nobody ever asks them anything."""
    env = site.env
    with closing(open_ledger(site.paths.db, site.optouts)) as conn, transaction(conn):
        for nth in range(devices):
            add_gateway(
                conn,
                env.wall_ms(),
                name=f"device{nth + 1}",
                url="http://127.0.0.1:9",
                username="nobody",
                secret="env:NOBODY",  # noqa: S106 - where a password would be
                token=env.nonce(16),
            )


def _count(inbox: Path) -> int:
    with closing(InboxReader.open(inbox)) as reader:
        return reader.count()
