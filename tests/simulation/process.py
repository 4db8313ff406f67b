"""The engine's process as it can die: its ledger, its network, its memory.

A crash is not a cancel: `finally` blocks would still write and send. So the store and the transport
are poisoned first, and only then is everything cancelled.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import trio

from campaign.errors import StoreError
from campaign.store.door import transaction
from tests.simulation.network import Killed, Life


@dataclass
class MortalStore:
    """The inline door of a process that can be killed.

    A write runs between two checkpoints, optionally after a delay (a slow disk), and never after
    death. `committed()` is called after each commit, `before(n)` before the n-th operation.
    """

    conn: sqlite3.Connection
    life: Life
    committed: Callable[[], None] = lambda: None
    before: Callable[[str], None] = lambda _kind: None
    slow: float = 0.0
    rng: random.Random | None = None

    async def write(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        self.life.check()
        with trio.CancelScope(shield=True):
            await trio.lowlevel.checkpoint()
            if self.slow and self.rng is not None:
                await trio.sleep(self.rng.uniform(0, self.slow))
        self.life.check()
        try:
            self.before("write")
            with transaction(self.conn):
                result = fn(self.conn, *args, **kwargs)
        except sqlite3.Error as error:
            raise StoreError(f"the ledger refused a write: {error}") from error
        self.committed()
        with trio.CancelScope(shield=True):
            await trio.lowlevel.checkpoint()
        self.life.check()
        return result

    async def read(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        self.life.check()
        await trio.lowlevel.checkpoint()
        self.life.check()
        try:
            self.before("read")
            return fn(self.conn, *args, **kwargs)
        except sqlite3.Error as error:
            raise StoreError(f"the ledger could not be read: {error}") from error


class Reaper(trio.abc.Instrument):
    """Kills processes at given scheduler steps: between any two steps of any task."""

    def __init__(self) -> None:
        self.step = 0
        self._due: list[tuple[int, Callable[[], None]]] = []

    def arm(self, steps: int, kill: Callable[[], None]) -> None:
        """Kill before the step that comes after so many more."""
        self._due.append((self.step + steps, kill))

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.step += 1
        if self._due:
            ready = [kill for at, kill in self._due if self.step > at]
            self._due = [(at, kill) for at, kill in self._due if self.step <= at]
            for kill in ready:
                kill()


def only_killed(group: BaseException) -> bool:
    """Whether an exception (group) is nothing but the death of the process."""
    if isinstance(group, BaseExceptionGroup):
        return all(only_killed(error) for error in group.exceptions)
    return isinstance(group, (Killed, trio.Cancelled))
