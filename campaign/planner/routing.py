"""Routing: how many messages each port of a gateway may be given now, and what it waits for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from campaign.planner.places import place_of
from campaign.planner.split import Grant
from campaign.protocol.codes import USABLE_PORT_CODES
from campaign.protocol.messages import PortState

BUSY = "busy"
"""Why a port is not given more: what it holds already is enough."""


def active_slots(states: Iterable[PortState]) -> list[PortState]:
    """One state per port: the slot that can send, where a device lists idle SIMs beside it."""
    chosen: dict[int, PortState] = {}
    for state in states:
        known = chosen.get(state.port.number)
        if known is None or (
            state.code in USABLE_PORT_CODES and known.code not in USABLE_PORT_CODES
        ):
            chosen[state.port.number] = state
    return list(chosen.values())


@dataclass(frozen=True)
class Shut:
    """Why nothing may go to a port now, and until when (None: until something happens)."""

    why: str
    until: float | None = None


class PortFacts(NamedTuple):
    """One port as the dispatcher knows it. Times are on the monotonic clock."""

    port: int
    usable: bool
    outstanding: int
    window: int
    ready_at: float = 0.0
    rests_until: float | None = None
    probing: bool = False
    shut: Shut | None = None
    """A limit that leaves no room for a single message."""
    room: int | None = None
    """The most messages that limits leave room for; None: no limit."""
    lanes: frozenset[int] | None = None
    """The waiting lanes that it may serve; None: all."""
    rank: int = 0
    """The lowest is served first; of equal ones the emptiest."""
    unheard: int | None = None
    """Of the outstanding, messages of runs that no report has reached; None: all."""


class Wait(NamedTuple):
    """What one port waits for, and until when (None: until something happens)."""

    port: int
    why: str
    until: float | None = None


@dataclass(frozen=True)
class Turn:
    """What may be claimed now, and what each of the other ports waits for.

    `held` is what keeps the whole gateway from sending, whatever its ports could do.
    """

    grants: tuple[Grant, ...]
    waits: tuple[Wait, ...] = ()
    held: Shut | None = None

    @property
    def wake_at(self) -> float | None:
        """When to look again; None: when something happens."""
        times = [wait.until for wait in self.waits]
        times += [self.held.until] if self.held is not None else []
        return min((at for at in times if at is not None), default=None)

    @property
    def why(self) -> str:
        """Every wait in words, equal ones counted."""
        if self.held is not None:
            return self.held.why
        counts: dict[str, int] = {}
        for wait in self.waits:
            counts[wait.why] = counts.get(wait.why, 0) + 1
        return ", ".join(f"{n} port{'s' * (n > 1)} {why}" for why, n in counts.items())


@dataclass(frozen=True)
class Waiting:
    """Why a campaign sends nothing, or not all it could, through one gateway.

    `until` is on the monotonic clock, None: until something happens; `why` is empty while it sends.
    """

    why: str
    until: float | None = None
    ports: tuple[Wait, ...] = ()


def plan_turn(
    gateway_id: int,
    ports: Sequence[PortFacts],
    now: float,
    *,
    fair: int,
    budget: int | None,
    single: bool,
    slow_start: bool,
) -> Turn:
    """Grant each port the free part of its window.

    `fair` is the most one port may hold (what is left over all usable ports), `budget` the
    campaign rate's remaining messages (None: no rate), `single` one message at a time (a rate or
    interval is set), `slow_start` at most one outstanding per port until the return path is proved,
    beside those of earlier runs whose return path was.
    """
    grants: list[Grant] = []
    waits: list[Wait] = []
    left = budget
    # the emptiest port first, so that the last few recipients go to idle SIMs
    for facts in sorted(ports, key=lambda facts: (facts.rank, facts.outstanding, facts.port)):
        free = _free(facts, now, fair=max(1, fair), single=single, slow_start=slow_start)
        if isinstance(free, Wait):
            waits.append(free)
            continue
        count = free if left is None else min(free, left)
        if count > 0:
            place = place_of(gateway_id, facts.port)
            grants.append(Grant(facts.port, count, place, facts.lanes))
            left = None if left is None else left - count
    return Turn(tuple(grants), tuple(waits))


def _free(facts: PortFacts, now: float, *, fair: int, single: bool, slow_start: bool) -> int | Wait:
    """Free messages of one port, else why there are none and when that may change."""
    if not facts.usable:
        return Wait(facts.port, "cannot send")
    if facts.shut is not None:
        return Wait(facts.port, facts.shut.why, facts.shut.until)
    if facts.rests_until is not None and now < facts.rests_until:
        return Wait(facts.port, "resting after failures", facts.rests_until)
    if facts.lanes is not None and not facts.lanes:
        return Wait(facts.port, "without a recipient to serve")
    if now < facts.ready_at:
        return Wait(facts.port, "pacing", facts.ready_at)
    window = 1 if facts.probing or facts.rests_until is not None else facts.window
    free = min(window, fair) - facts.outstanding
    if slow_start:
        risked = facts.outstanding if facts.unheard is None else facts.unheard
        if risked >= 1:
            return Wait(facts.port, "waiting for the first report")
        free = min(free, 1)
    if free <= 0:
        return Wait(facts.port, BUSY)
    free = 1 if single else free
    return free if facts.room is None else min(free, facts.room)
