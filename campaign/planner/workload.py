"""What a forecast is made of: who is to be sent to, through which ports, at which paces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from campaign.planner.lanes import Hours
from campaign.planner.quotas import Caps, Usage
from campaign.planner.routes import ANYWHERE, may_serve

SIM_SECONDS = (4.0, 6.0, 10.0)
"""Seconds of air time of one SMS on one port: a good, a usual and a poor network."""

_MEASURED = (0.85, 1.0, 1.3)
"""What a measured pace may become: the air is not the same at every hour."""


@dataclass(frozen=True)
class Group:
    """Recipients alike: messages of so many SMS parts that may go out at the same times and, by
    their rule, through the same ports."""

    messages: int
    parts: int = 1
    hours: Hours = field(default_factory=Hours)
    route: str = ANYWHERE


@dataclass(frozen=True)
class Demand:
    """What one campaign wants sent. Gaps are seconds between two messages, or two SMS parts, of the
    whole campaign, 0 for no rate; `weight` is its share where several compete."""

    groups: tuple[Group, ...]
    gap: float = 0.0
    part_gap: float = 0.0
    weight: int = 1

    @property
    def messages(self) -> int:
        return sum(group.messages for group in self.groups)

    @property
    def parts(self) -> int:
        return sum(group.messages * group.parts for group in self.groups)


@dataclass(frozen=True)
class PlannedSim:
    """One port with the SIM in it. `known` is False where it is only assumed.

    `seconds` is the air time of one SMS part on a good, a usual and a poor day; `gaps` the seconds
    from one message to the next at least, in the same three cases (an interval's ends and middle);
    `part_gap` the same for each SMS part. `caps` are the SIM's limits in `zone`, `usage` what it
    was charged with in the periods of now.
    """

    gateway: str | None
    port: int
    known: bool = True
    seconds: tuple[float, float, float] = SIM_SECONDS
    gaps: tuple[float, float, float] = (0.0, 0.0, 0.0)
    part_gap: float = 0.0
    caps: Caps = field(default_factory=Caps)
    usage: Usage = field(default_factory=Usage)
    zone: tzinfo = UTC
    operator: str = ""

    @property
    def is_measured(self) -> bool:
        """Whether its pace was seen, not assumed."""
        return self.seconds != SIM_SECONDS

    def serves(self, group: Group) -> bool:
        return may_serve(group.route, self.gateway or "", self.port, self.operator)


@dataclass(frozen=True)
class Conditions:
    """What is the same for all ports. `failures` is the share of messages that the network refuses,
    each tried again after `retry_wait` seconds (doubling), `attempts` times in all. Of a gateway's
    own rates `gateway_gaps` has the seconds between two messages, by its name."""

    failures: float = 0.0
    attempts: int = 3
    retry_wait: float = 10.0
    gateway_gaps: Mapping[str | None, float] = field(default_factory=dict)
    gateway_part_gaps: Mapping[str | None, float] = field(default_factory=dict)
    deadline: datetime | None = None
    """When those who still wait are given up."""


def measured(seconds: float) -> tuple[float, float, float]:
    """The three paces of a port that was seen to need so long for one SMS part."""
    fast, usual, slow = _MEASURED
    return seconds * fast, seconds * usual, seconds * slow
