"""A target in virtual time: lines that answer, fail and hang as a test wants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from campaign.env import Env
from campaign.load.arrivals import Schedule
from campaign.load.wire import ErrorKind, Failure, Outcome, Reply, Request

# From the how-manieth request and the time it is sent: how long until what.
Behaviour = Callable[[int, float], tuple[float, int | ErrorKind]]


@dataclass
class FakeNetwork:
    """Lines to a target that behaves as told; `sent` are the times at which requests reached it."""

    behaviour: Behaviour
    opened: int = 0
    closed: int = 0
    sent: list[float] = field(default_factory=list)

    def connection(self) -> FakeLine:
        return FakeLine(self)

    async def watch(self) -> None:
        await trio.sleep_forever()


@dataclass
class FakeLine:
    network: FakeNetwork

    async def open(self, deadline: float) -> Failure | None:
        self.network.opened += 1
        return None

    async def exchange(self, request: Request, deadline: float) -> Outcome:
        now = trio.current_time()
        after, what = self.network.behaviour(len(self.network.sent), now)
        self.network.sent.append(now)
        if now + after >= deadline:
            await trio.sleep_until(deadline)
            return Failure(ErrorKind.TIMEOUT, now)
        await trio.sleep(after)
        if isinstance(what, ErrorKind):
            return Failure(what, None if what is ErrorKind.REFUSED else now)
        return Reply(what, b"", now, 40)

    def close(self) -> None:
        self.network.closed += 1


@dataclass
class Cpu:
    """A processor whose use is said by the test."""

    used: float = 0.0


def virtual_env(cpu: Cpu | None = None) -> Env:
    """Trio's clock (virtual under autojump_clock), and no time used by ourselves."""
    counted = cpu or Cpu()
    return Env(cpu_seconds=lambda: counted.used)


def evenly(rate: float, count: int) -> Schedule:
    """The intended times of a constant rate."""
    return lambda: (nth / rate for nth in range(count))
