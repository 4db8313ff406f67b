"""Reading and changing a ledger from a command: through its engine if one runs, else by itself."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

import trio

from campaign.engine.conversation import converse
from campaign.engine.verbs import perform
from campaign.errors import EngineError, LedgerHeld, StoreError
from campaign.service.locks import FileLock, is_held
from campaign.service.site import Site
from campaign.store.door import transaction
from campaign.store.opening import is_marked, is_unfinished, open_ledger, open_reader
from campaign.store.trouble import told

P = ParamSpec("P")
R = TypeVar("R")

_LOOK_EVERY = 0.02
_PATIENCE = 10.0
"""Seconds a starting engine may take from its lock to its socket."""


def has_ledger(site: Site) -> bool:
    """Whether there is a ledger to be read: not in an empty file, as a kill leaves it that struck
    when a ledger's making had just begun, unless an engine is at it."""
    if not site.paths.db.exists():
        return False
    if is_held(site.paths.lock):
        return True
    with _told_in_words(), closing(open_reader(site.paths.db, any_schema=True)) as conn:
        return is_marked(conn)


def read(
    site: Site,
    fn: Callable[Concatenate[sqlite3.Connection, P], R],
    *args: P.args,
    **kwargs: P.kwargs,
) -> R:
    """Run `fn` on a read-only connection. Raises `StoreError` when there is no ledger, or it cannot
    be read."""
    with reading(site) as conn:
        return fn(conn, *args, **kwargs)


def read_any_version(
    site: Site,
    fn: Callable[Concatenate[sqlite3.Connection, P], R],
    *args: P.args,
    **kwargs: P.kwargs,
) -> R:
    """As `read`, of a ledger that may wait for its migration: `fn` asks what any version knows."""
    with (
        _told_in_words(),
        closing(open_reader(site.paths.db, site.optouts, any_schema=True)) as conn,
    ):
        return fn(conn, *args, **kwargs)


@contextmanager
def reading(site: Site) -> Iterator[sqlite3.Connection]:
    """A read-only connection to the ledger, its schema up to date; errors as for `read`."""
    if site.paths.db.exists():
        make_whole(site)
    with _told_in_words(), closing(open_reader(site.paths.db, site.optouts)) as conn:
        yield conn


def make_whole(site: Site, *, patience: float = _PATIENCE) -> None:
    """Finish the creation of a ledger that was cut off; `StoreError` if for `patience` seconds
    somebody holds it and does not do so. One in use is migrated on purpose only."""
    looks = round(patience / _LOOK_EVERY)
    lock = FileLock(site.paths.lock)
    while _is_unfinished(site):
        if lock.acquire():
            try:
                open_ledger(site.paths.db, site.optouts).close()
            finally:
                lock.release()
        elif looks == 0:
            raise StoreError(
                f"{site.paths.db} is just being made by an engine that does not come to its end:"
                " try again later"
            )
        else:
            looks -= 1
            time.sleep(_LOOK_EVERY)  # the engine that holds it makes it whole at its start


def _is_unfinished(site: Site) -> bool:
    with _told_in_words(), closing(open_reader(site.paths.db, any_schema=True)) as conn:
        # an empty file is left alone, unless an engine is just making a ledger of it
        return is_unfinished(conn) or (not is_marked(conn) and is_held(site.paths.lock))


@contextmanager
def _told_in_words() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"the ledger could not be read: {told(error)}") from error


async def change(site: Site, verb: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Carry out a verb in the ledger. Raises `LedgerHeld` when its engine does not answer."""
    lock = FileLock(site.paths.lock)
    if lock.acquire():
        try:
            with closing(open_ledger(site.paths.db, site.optouts)) as conn, transaction(conn):
                return perform(conn, site.env.wall_ms(), verb, parameters)
        finally:
            lock.release()
    answer = await ask(site, {"cmd": "do", "verb": verb, "parameters": dict(parameters)})
    result: dict[str, Any] = answer["result"]
    return result


async def ask(site: Site, request: Mapping[str, Any], *, seconds: float = 30.0) -> dict[str, Any]:
    """One question to the running engine. Raises `LedgerHeld` when it does not answer."""
    try:
        with trio.fail_after(_PATIENCE):
            while not site.paths.socket.exists():  # another process makes it
                if not is_held(site.paths.lock):
                    raise LedgerHeld(f"the engine of {site.paths.db} has just ended: try again")
                await trio.sleep(0.05)
        async with converse(site.paths.socket) as conversation:
            return await conversation.ask(request, seconds=seconds)
    except (trio.TooSlowError, ConnectionError) as error:
        raise held(site) from error
    except EngineError as error:
        if error.exit_code == EngineError.exit_code and "engine" in str(error):
            raise held(site) from error
        raise


def held(site: Site) -> LedgerHeld:
    holder = FileLock(site.paths.lock).holder()
    by = f" (process {holder})" if holder else ""
    return LedgerHeld(f"{site.paths.db} is held by an engine{by} that does not answer")
