"""Pushes on their way to the receiver: one at a time, tried again if they fail, lossy on demand.

A push is a POST of JSON. Anything but a 2xx answer within five seconds is a failure; the waits of
`push_retry` follow, then the push is dropped, as devices do. A retry waits beside the queue, so
that later pushes overtake it.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import httpx
import trio

from campaign.simulator.faults import Losses

PUSH_TIMEOUT = 5.0
_QUEUE_LIMIT = 10_000
_JSON = "application/json;charset=utf-8"


@dataclass(frozen=True, slots=True)
class Push:
    """One body for one URL; `failures` counts the tries that failed."""

    url: str
    body: bytes
    failures: int = 0
    kind: str = _JSON


class Pusher:
    """The device's HTTP client. `push` returns at once; `run` sends until cancelled."""

    def __init__(
        self, losses: Losses, retry_waits: tuple[float, ...], monotonic: Callable[[], float]
    ) -> None:
        self._losses = losses
        self._retry_waits = retry_waits
        self._monotonic = monotonic
        self._heap: list[tuple[float, int, Push]] = []
        self._order = itertools.count()
        self._news = trio.Event()
        self.delivered = self.failed_tries = self.dropped = 0

    def push(self, url: str, body: bytes, kind: str = _JSON) -> None:
        for departs in self._losses.departures(self._monotonic()):
            self._enqueue(departs, Push(url, body, kind=kind))

    def forget(self) -> None:
        """The device restarted: what was not sent never will be."""
        self._heap.clear()

    async def run(self, client: httpx.AsyncClient) -> None:
        while True:
            self._news = trio.Event()
            if self._heap and self._heap[0][0] <= self._monotonic():
                await self._send(client, heapq.heappop(self._heap)[2])
                continue
            with trio.move_on_at(self._heap[0][0] if self._heap else math.inf):
                await self._news.wait()

    async def _send(self, client: httpx.AsyncClient, push: Push) -> None:
        if await _delivered(client, push):
            self.delivered += 1
            return
        self.failed_tries += 1
        if push.failures >= len(self._retry_waits):
            self.dropped += 1
            return
        due = self._monotonic() + self._retry_waits[push.failures]
        self._enqueue(due, replace(push, failures=push.failures + 1))

    def _enqueue(self, due: float, push: Push) -> None:
        if len(self._heap) >= _QUEUE_LIMIT:
            self.dropped += 1
            return
        heapq.heappush(self._heap, (due, next(self._order), push))
        self._news.set()


async def _delivered(client: httpx.AsyncClient, push: Push) -> bool:
    try:
        with trio.fail_after(PUSH_TIMEOUT):
            answer = await client.post(
                push.url, content=push.body, headers={"Content-Type": push.kind}
            )
    except (
        httpx.HTTPError,
        httpx.InvalidURL,
        trio.TooSlowError,
        trio.BrokenResourceError,
        trio.ClosedResourceError,
        OSError,
    ):
        return False
    return answer.is_success
