"""Having a ledger to oneself: no engine, no receiver, for as long as its files are exchanged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from campaign.errors import LedgerHeld
from campaign.service.locks import FileLock
from campaign.service.site import Site


@contextmanager
def without_engine(site: Site) -> Iterator[None]:
    """Hold the ledger's lock. Raises `LedgerHeld` while an engine runs."""
    lock = FileLock(site.paths.lock)
    if not lock.acquire():
        by = f" (process {holder})" if (holder := lock.holder()) else ""
        raise LedgerHeld(
            f"{site.paths.db} is held by a running engine{by}: end it first (Ctrl-C where it runs,"
            " or SIGTERM), then try again"
        )
    try:
        yield
    finally:
        lock.release()


@contextmanager
def alone(site: Site) -> Iterator[None]:
    """Hold the ledger's lock and the inbox's. Raises `LedgerHeld` while either is held."""
    with without_engine(site):
        lock = FileLock(site.paths.inbox_lock)
        if not lock.acquire():
            by = f" (process {holder})" if (holder := lock.holder()) else ""
            raise LedgerHeld(
                f"the receiver of {site.paths.db} runs{by}: campaign listen --stop ends it, then"
                " try again"
            )
        try:
            yield
        finally:
            lock.release()
