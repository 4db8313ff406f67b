"""What a device's answer tells us: outcomes typed by what we know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from campaign.protocol.messages import QueuedTask, SmsPage, SmsStats, TaskStatus, TidsAnswer


@dataclass(frozen=True)
class Answered:
    """The device judged each task it names; `raw` is the body as it came."""

    status: TaskStatus
    raw: bytes


@dataclass(frozen=True)
class LegacyAnswered:
    """The old interface's word on one message: 0 is accepted, and all that is ever told."""

    code: int
    reason: str
    raw: bytes


@dataclass(frozen=True)
class CredentialsBad:
    """The device refused the whole request: it does not know us. Nothing was accepted."""

    reason: str
    raw: bytes


@dataclass(frozen=True)
class NeverSent:
    """Proved: the device has nothing of it. No connection was made, or its session was refused."""

    reason: str


@dataclass(frozen=True)
class Doubtful:
    """Anything else: the device may have the tasks."""

    reason: str


PostOutcome: TypeAlias = Answered | CredentialsBad | NeverSent | Doubtful
LegacyOutcome: TypeAlias = LegacyAnswered | CredentialsBad | NeverSent | Doubtful


@dataclass(frozen=True)
class Reading:
    """A decoded answer and the bytes it came from, to be kept where it serves as evidence."""

    raw: bytes


@dataclass(frozen=True)
class Sweep(Reading):
    """Every task a device still lists as waiting."""

    tasks: tuple[QueuedTask, ...]


@dataclass(frozen=True)
class TidsReading(Reading):
    answer: TidsAnswer

    def codes(self) -> dict[int, int]:
        """Verdict code by tid; empty where the device listed none."""
        return {verdict.tid: verdict.code for verdict in self.answer.verdicts or ()}


@dataclass(frozen=True)
class PageReading(Reading):
    page: SmsPage


@dataclass(frozen=True)
class StatsReading(Reading):
    stats: SmsStats
