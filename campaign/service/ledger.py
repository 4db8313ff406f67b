"""Reading and changing a ledger from a command: through its engine if one runs, else by itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any, Concatenate, ParamSpec, TypeVar

import trio

from campaign.engine.conversation import converse
from campaign.engine.verbs import perform
from campaign.errors import EngineError, LedgerHeld
from campaign.service.locks import FileLock, is_held
from campaign.service.site import Site
from campaign.store.door import transaction
from campaign.store.opening import open_ledger, open_reader

P = ParamSpec("P")
R = TypeVar("R")

_PATIENCE = 10.0
"""Seconds a starting engine may take from its lock to its socket."""


def read(
    site: Site,
    fn: Callable[Concatenate[sqlite3.Connection, P], R],
    *args: P.args,
    **kwargs: P.kwargs,
) -> R:
    """Run `fn` on a read-only connection. Raises `StoreError` when there is no ledger."""
    with closing(open_reader(site.paths.db, site.optouts)) as conn:
        return fn(conn, *args, **kwargs)


def read_any_version(
    site: Site,
    fn: Callable[Concatenate[sqlite3.Connection, P], R],
    *args: P.args,
    **kwargs: P.kwargs,
) -> R:
    """As `read`, of a ledger that may wait for its migration: `fn` asks what any version knows."""
    with closing(open_reader(site.paths.db, site.optouts, any_schema=True)) as conn:
        return fn(conn, *args, **kwargs)


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
