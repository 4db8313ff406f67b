"""Time and randomness: the only source of either.

Law: no other room reads a clock or draws a random number. Intervals are measured on the monotonic
clock, civil time is aware UTC; the two are never mixed. A simulated world hands in its own `Env`.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import trio


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Env:
    """What the outside world would otherwise smuggle in.

    `wall()` is aware UTC; `monotonic()` is seconds on trio's clock (virtual in simulations);
    `rng` spreads and spaces; `nonce(n)` is n unguessable bytes in lower-case hex. Trio's clock
    begins anywhere in each process: `machine_ns()` is the monotonic clock that all processes of a
    machine share, in nanoseconds. `cpu_seconds()` is what this process has used of a core so far.
    """

    wall: Callable[[], datetime] = _utc_now
    monotonic: Callable[[], float] = trio.current_time
    rng: random.Random = field(default_factory=random.SystemRandom)
    nonce: Callable[[int], str] = secrets.token_hex
    machine_ns: Callable[[], int] = time.monotonic_ns
    cpu_seconds: Callable[[], float] = time.process_time

    def wall_ms(self) -> int:
        """Civil time as the ledger stores it: milliseconds since 1970 UTC."""
        return round(self.wall().timestamp() * 1000)


def seeded(seed: int) -> random.Random:
    """A generator that draws the same for the same seed: for what must be repeatable elsewhere."""
    return random.Random(seed)
