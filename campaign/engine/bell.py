"""Waking those who wait for something to change, without losing a ring."""

from __future__ import annotations

import trio


class Bell:
    """A bell whose rings are never missed: take `mark()` before looking, `wait(mark)` after.

    A ring between the two returns at once.
    """

    def __init__(self) -> None:
        self._rings = 0
        self._event = trio.Event()

    def mark(self) -> int:
        return self._rings

    def ring(self) -> None:
        self._rings += 1
        self._event.set()
        self._event = trio.Event()

    async def wait(self, mark: int, until: float | None = None) -> bool:
        """Wait for a ring after `mark`, at most until that time on the monotonic clock.

        False if the time ran out first.
        """
        if self._rings != mark:
            await trio.lowlevel.checkpoint()
            return True
        if until is None:
            await self._event.wait()
            return True
        with trio.move_on_at(until) as scope:
            await self._event.wait()
        return not scope.cancelled_caught
