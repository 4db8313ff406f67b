"""When a campaign would be done: arithmetic before anything is sent.

A forecast is three moments, from three paces a SIM may keep. It knows the sending window and every
limit the operator sets, and nothing of failures, retries and quiet hours of the network.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from campaign.planner.durations import Interval, Rate
from campaign.planner.windows import Window

SIM_SECONDS = (4.0, 6.0, 10.0)
"""Seconds of air time of one SMS on one port: a good, a usual and a poor network."""

_HORIZON = timedelta(days=3650)


@dataclass(frozen=True)
class Workload:
    """What there is to send: `sms` counts every part of the `messages`."""

    messages: int
    sms: int
    ports: int


@dataclass(frozen=True)
class Pacing:
    """What slows sending down beside the SIMs themselves."""

    rate: Rate | None = None
    per_port: Rate | None = None
    interval: Interval | None = None
    window: Window | None = None

    @property
    def one_by_one(self) -> bool:
        """Whether every message is a task of its own, because it has a moment of its own."""
        return any((self.rate, self.per_port, self.interval))


@dataclass(frozen=True)
class Forecast:
    """When the last message is sent; None: not within ten years, or never without a port."""

    earliest: datetime | None
    expected: datetime | None
    latest: datetime | None


def forecast(
    now: datetime,
    work: Workload,
    pacing: Pacing,
    sim_seconds: tuple[float, float, float] = SIM_SECONDS,
) -> Forecast:
    """The finish of sending that begins at `now` (aware), for three paces of a SIM."""
    fast, usual, slow = sim_seconds
    interval = pacing.interval or Interval(0.0, 0.0)
    middle = (interval.low + interval.high) / 2
    return Forecast(
        _finish(now, work, pacing, fast, interval.low),
        _finish(now, work, pacing, usual, middle),
        _finish(now, work, pacing, slow, interval.high),
    )


def deal(messages: int, ports: int) -> tuple[int, ...]:
    """How many messages each port gets when they are dealt in turn."""
    if not ports:
        return ()
    share, over = divmod(messages, ports)
    return tuple(share + (turn < over) for turn in range(ports))


def task_count(same_text: int, ports: int, task_size: int) -> int:
    """The fewest tasks for so many recipients of one text: a task names one port."""
    return sum(-(-share // task_size) for share in deal(same_text, min(ports, same_text)))


def _finish(
    now: datetime, work: Workload, pacing: Pacing, sim_seconds: float, interval: float
) -> datetime | None:
    if not work.messages:
        return now
    if not work.ports:
        return None
    seconds = _sending_seconds(work, pacing, sim_seconds, interval)
    if seconds > _HORIZON.total_seconds():
        return None
    return _through_windows(now, timedelta(seconds=seconds), pacing.window)


def _sending_seconds(work: Workload, pacing: Pacing, sim_seconds: float, interval: float) -> float:
    """Open-window seconds the slowest limit asks for. The first message waits for nothing."""
    port_gap = max(interval, pacing.per_port.gap if pacing.per_port else 0.0)
    on_air = math.ceil(work.sms / work.ports) * sim_seconds
    paced_by_port = (math.ceil(work.messages / work.ports) - 1) * port_gap + sim_seconds
    paced_by_rate = (work.messages - 1) * pacing.rate.gap + sim_seconds if pacing.rate else 0.0
    return max(on_air, paced_by_port, paced_by_rate)


def _through_windows(now: datetime, needed: timedelta, window: Window | None) -> datetime | None:
    if window is None:
        return now + needed
    moment, end = window.next_open(now), now + _HORIZON
    while moment < end:
        closes = window.closes_at(moment)
        if closes is None or moment + needed <= closes:
            return moment + needed
        needed -= closes - moment
        moment = window.next_open(closes)
    return None
