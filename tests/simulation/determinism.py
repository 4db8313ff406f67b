"""One seed, one history: trio's scheduler made reproducible.

trio shuffles the tasks that are ready together, on purpose. For hypothesis it can be told to sort
them first and to shuffle by a generator of ours; that switch is private, so it stands in this file
alone, with a test that fails when trio changes it.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio
import trio.testing
from trio._core import _run as scheduler

T = TypeVar("T")

SWITCH = "_ALLOW_DETERMINISTIC_SCHEDULING"
GENERATOR = "_r"


def run_seeded(seed: int, main: Callable[[], Awaitable[T]], *instruments: trio.abc.Instrument) -> T:
    """Run `main` in virtual time; the same seed gives the same order of everything."""
    before = getattr(scheduler, SWITCH)
    generator: random.Random = getattr(scheduler, GENERATOR)
    setattr(scheduler, SWITCH, True)
    generator.seed(seed)
    try:
        clock = trio.testing.MockClock(autojump_threshold=0)
        return trio.run(main, clock=clock, instruments=instruments)
    finally:
        setattr(scheduler, SWITCH, before)
