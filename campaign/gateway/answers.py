"""What a device's answer tells us: outcomes typed by what we know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from campaign.protocol.messages import TaskStatus


@dataclass(frozen=True)
class Answered:
    """The device judged each task it names; `raw` is the body as it came."""

    status: TaskStatus
    raw: bytes


@dataclass(frozen=True)
class CredentialsBad:
    """The device refused the whole request: it does not know us. Nothing was accepted."""

    reason: str
    raw: bytes


@dataclass(frozen=True)
class NeverSent:
    """No connection was made: not one byte reached the device."""

    reason: str


@dataclass(frozen=True)
class Doubtful:
    """Anything else: the device may have the tasks."""

    reason: str


PostOutcome: TypeAlias = Answered | CredentialsBad | NeverSent | Doubtful
