"""The seconds of several workers, brought together in their order."""

from __future__ import annotations

from collections.abc import Callable

from campaign.load.tally import Second


class Series:
    """Passes a second on once every worker that still runs has told of it.

    Workers tell their own seconds in order. Nothing is kept but what some worker is ahead of
    others, and nothing is passed on twice.
    """

    def __init__(self, workers: int, pass_on: Callable[[Second], None]) -> None:
        self._told = dict.fromkeys(range(workers), 0)
        self._pending: dict[int, Second] = {}
        self._next = 0
        self._pass_on = pass_on

    def add(self, worker: int, second: Second) -> None:
        """One more second of a worker."""
        self._told[worker] = second.nth + 1
        if second.nth in self._pending:
            self._pending[second.nth].add(second)
        else:
            self._pending[second.nth] = second
        self._pass_on_whole()

    def end(self, worker: int) -> None:
        """Nothing more comes from this one, however it ended."""
        self._told.pop(worker, None)
        self._pass_on_whole()

    def _pass_on_whole(self) -> None:
        until = min(self._told.values(), default=self._next + len(self._pending))
        while self._next < until and self._next in self._pending:
            self._pass_on(self._pending.pop(self._next))
            self._next += 1
