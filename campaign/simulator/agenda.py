"""Everything the device will do later, in one heap ordered by time.

A handler is called with the time it was due, not the time the clock happened to be looked at: a
chain of handlers keeps an absolute schedule and never drifts.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable

Handler = Callable[[float], None]


class Entry:
    """One handler in the agenda; `cancel` takes it out."""

    __slots__ = ("due", "handler")

    def __init__(self, due: float, handler: Handler) -> None:
        self.due = due
        self.handler: Handler | None = handler

    def cancel(self) -> None:
        self.handler = None


class Agenda:
    """Handlers by due time; equal times run in the order in which they were entered.

    `on_earlier` is called when the next due time moved forward, so that whoever sleeps until
    then can look again.
    """

    def __init__(self, on_earlier: Callable[[], None] = lambda: None) -> None:
        self._heap: list[tuple[float, int, Entry]] = []
        self._order = itertools.count()
        self._running = False
        self.on_earlier = on_earlier

    def at(self, due: float, handler: Handler) -> Entry:
        entry = Entry(due, handler)
        earlier = not self._running and due < self.next_due()
        heapq.heappush(self._heap, (due, next(self._order), entry))
        if earlier:
            self.on_earlier()
        return entry

    def next_due(self) -> float:
        """When to run again; infinity when nothing is due ever."""
        while self._heap and self._heap[0][2].handler is None:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else math.inf

    def run_due(self, now: float, limit: int) -> bool:
        """Run at most `limit` handlers due by `now`; False when some were left."""
        self._running = True
        try:
            for _ in range(limit):
                if self.next_due() > now:
                    return True
                due, _order, entry = heapq.heappop(self._heap)
                handler, entry.handler = entry.handler, None
                if handler is not None:
                    handler(due)
        finally:
            self._running = False
        return self.next_due() > now
