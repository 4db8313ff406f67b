"""The receiver process of a ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial

import trio

from campaign.errors import CampaignError, first_of
from campaign.service.garbage import collected_rarely
from campaign.service.ledger import read_any_version
from campaign.service.listening import listen
from campaign.service.locks import is_held
from campaign.service.site import Site, shown
from campaign.service.sources import Network
from campaign.store.gateways import receiver_tokens
from campaign.store.tasks import any_live_task

_LINGER = 10.0


async def run_receiver(
    site: Site,
    address: tuple[str, int] | None,
    public_url: str | None,
    *,
    allow: Sequence[Network] | None = None,
    automatic: bool,
    say: Callable[[str], None],
) -> None:
    """Receive until SIGTERM or SIGINT; an automatic one also ends when no engine holds the ledger
    and no task is live."""
    failure: CampaignError | None = None
    try:
        with collected_rarely():
            async with trio.open_nursery() as nursery:
                binding = await nursery.start(
                    partial(
                        listen,
                        site.paths,
                        env=site.env,
                        tokens=lambda: _tokens(site),
                        finished=lambda: _finished(site),
                        address=address,
                        public_url=public_url,
                        allow=allow,
                        automatic=automatic,
                        linger=_LINGER,
                    )
                )
                say(f"receiving on http://{shown(binding.host, binding.port)}")
    except* CampaignError as group:
        failure = first_of(group)
    if failure is not None:
        raise failure


def _tokens(site: Site) -> dict[str, int]:
    if not site.paths.db.exists():
        return {}  # no ledger yet: nobody is known
    # being made this instant, or damaged: devices shall come again
    return read_any_version(site, receiver_tokens)


def _finished(site: Site) -> bool:
    if is_held(site.paths.lock):
        return False
    if not site.paths.db.exists():
        return True
    return not read_any_version(site, _any_live)


def _any_live(conn: sqlite3.Connection) -> bool:
    return any_live_task(conn)
