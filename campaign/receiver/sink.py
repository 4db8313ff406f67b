"""Group commit: pushes that wait together reach the disk together.

One fsync takes milliseconds on an ordinary disk, and devices push in bursts; whatever has come in
while one transaction was being written goes into the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import trio

from campaign.errors import StoreError
from campaign.store.inbox import Arrived

_BATCH = 256


class AppendsRows(Protocol):
    """The inbox, as far as this file needs it."""

    def append_many(self, rows: Sequence[Arrived]) -> int: ...


@dataclass(eq=False)
class _Waiting:
    arrived: Arrived
    settled: trio.Event = field(default_factory=trio.Event)
    error: StoreError | None = None


class InboxSink:
    """`commit` from any task while `run` runs in one; `close`, and `run` ends when all is written.

    `on_commit()` is called after each transaction and must neither block nor raise. `inline` writes
    on the event loop instead of in a worker thread, which under a virtual clock would look idle and
    let time jump.
    """

    def __init__(
        self, inbox: AppendsRows, *, on_commit: Callable[[], None], inline: bool = False
    ) -> None:
        self._inbox = inbox
        self._on_commit = on_commit
        self._inline = inline
        self._send, self._receive = trio.open_memory_channel[_Waiting](_BATCH)

    async def commit(self, arrived: Arrived) -> None:
        """Return once the push is on disk; StoreError if it is not.

        Shielded from cancellation: a push handed over may be written, so its fate is waited for.
        """
        waiting = _Waiting(arrived)
        with trio.CancelScope(shield=True):
            try:
                await self._send.send(waiting)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                raise StoreError("the receiver is closing") from None
            await waiting.settled.wait()
        if waiting.error is not None:
            raise StoreError(str(waiting.error)) from waiting.error

    def close(self) -> None:
        """Take nothing more."""
        self._send.close()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write until closed. Cancelled, it finishes the transaction at hand and fails the rest."""
        task_status.started()
        try:
            async for first in self._receive:
                await self._write([first, *self._others_waiting()])
        finally:
            while batch := self._others_waiting():
                _settle(batch, StoreError("the receiver is closing"))
            self._receive.close()

    def _others_waiting(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        while len(batch) < _BATCH - 1:
            try:
                batch.append(self._receive.receive_nowait())
            except (trio.WouldBlock, trio.EndOfChannel):
                break
        return batch

    async def _write(self, batch: Sequence[_Waiting]) -> None:
        rows = [waiting.arrived for waiting in batch]
        outcome: StoreError | None = StoreError("the receiver broke down")
        try:
            if self._inline:
                self._inbox.append_many(rows)
            else:
                with trio.CancelScope(shield=True):
                    await trio.to_thread.run_sync(self._inbox.append_many, rows)
            outcome = None
        except StoreError as error:
            outcome = error
        finally:  # whatever happens, nobody is left waiting behind a shield
            _settle(batch, outcome)
        if outcome is None:
            self._on_commit()


def _settle(batch: Sequence[_Waiting], outcome: StoreError | None) -> None:
    for waiting in batch:
        waiting.error = outcome
        waiting.settled.set()
