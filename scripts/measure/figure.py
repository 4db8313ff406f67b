"""What a row of scripts/bench is asked for, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Scale:
    """How much is done: small for a check, full for the table."""

    messages: int
    rows: int


@dataclass(frozen=True)
class Sample:
    """One run of one row: how much was done, in what, and what it cost."""

    row: str
    count: int
    unit: str
    seconds: float
    cpu_seconds: float
    """Of the program measured alone (engine and receiver; not simulators)."""
    rss_mb: float | None = None
    notes: Mapping[str, float] = field(default_factory=dict)


class NotInstalled(Exception):
    """A row that measures another program, which this machine does not have; says what lacks."""
