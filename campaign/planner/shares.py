"""Who is served next: priorities strictly, and fair shares within one priority.

Theory of operation: start-time fair queueing. Every campaign carries a tag, its place in a virtual
time that all gateways share; the lowest tag is served first, and `n` messages move it on by `n`
over its share. The clock of a priority is the tag that was served last. Whoever comes, or comes
back after a time in which it could not send, starts at the clock: what it did not use is neither
saved nor owed. Two campaigns that both always have something to send therefore differ, in messages
by share, by no more than one grant of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum


class Priority(StrEnum):
    """In the order in which they are served."""

    URGENT = "urgent"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    @property
    def rank(self) -> int:
        return _RANKS[self]


_RANKS = {priority: rank for rank, priority in enumerate(Priority)}


@dataclass(frozen=True, slots=True)
class Contender:
    """A campaign as the queue knows it. `share` is its weight within its priority, at least 1."""

    id: int
    priority: Priority = Priority.NORMAL
    share: int = 1


@dataclass(frozen=True, slots=True)
class _Tag:
    priority: Priority
    at: float


@dataclass(frozen=True)
class Queue:
    """Tags of the campaigns that have something to send, and the clock of each priority."""

    tags: Mapping[int, _Tag] = field(default_factory=dict)
    left: Mapping[int, _Tag] = field(default_factory=dict)
    """Tags of those that cannot send at the moment: leaving and coming back gains nothing."""
    clocks: Mapping[Priority, float] = field(default_factory=dict)

    def with_contenders(self, contenders: Iterable[Contender]) -> Queue:
        """The queue when exactly these have something to send; the same one if nothing changed."""
        present = {one.id: one for one in contenders}
        known = self.tags
        if present.keys() == known.keys() and all(
            known[id_].priority is one.priority for id_, one in present.items()
        ):
            return self
        tags = {id_: self._tag(one) for id_, one in present.items()}
        left = {id_: tag for id_, tag in {**self.left, **known}.items() if id_ not in present}
        return replace(self, tags=tags, left=left)

    def without(self, id_: int) -> Queue:
        """The queue without a campaign that cannot send, whatever room there is: it comes back
        where the clock is then."""
        if id_ not in self.tags:
            return self
        tags = {other: tag for other, tag in self.tags.items() if other != id_}
        return replace(self, tags=tags, left={**self.left, id_: self.tags[id_]})

    def _tag(self, one: Contender) -> _Tag:
        known = self.tags.get(one.id)
        if known is not None and known.priority is one.priority:
            return known
        clock = self.clocks.get(one.priority, 0.0)
        before = self.left.get(one.id)
        same = before is not None and before.priority is one.priority
        return _Tag(one.priority, max(clock, before.at) if before and same else clock)

    def in_order(self) -> list[int]:
        """The campaigns that have something to send, the one to be served first in front."""
        return sorted(self.tags, key=lambda id_: (*self._place(id_), id_))

    def _place(self, id_: int) -> tuple[int, float]:
        tag = self.tags[id_]
        return tag.priority.rank, tag.at

    def served(self, one: Contender, messages: int) -> Queue:
        """The queue after `messages` of it were claimed."""
        tag = self._tag(one)
        clock = max(self.clocks.get(one.priority, 0.0), tag.at)
        moved = replace(tag, at=tag.at + messages / one.share)
        return replace(
            self,
            tags={**self.tags, one.id: moved},
            clocks={**self.clocks, one.priority: clock},
        )
