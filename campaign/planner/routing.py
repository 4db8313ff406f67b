"""Routing: how many messages each port of a gateway may be given now, and what it waits for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from campaign.planner.split import Grant
from campaign.protocol.codes import USABLE_PORT_CODES
from campaign.protocol.messages import PortState


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
class PortFacts:
    """One port as the dispatcher knows it. Times are on the monotonic clock."""

    port: int
    usable: bool
    outstanding: int
    window: int
    ready_at: float = 0.0
    rests_until: float | None = None
    probing: bool = False


@dataclass(frozen=True)
class Turn:
    """What may be claimed now, when to look again (None: when something happens), and why."""

    grants: tuple[Grant, ...]
    wake_at: float | None
    why: str


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
    interval is set), `slow_start` at most one outstanding per port until the return path is proved.
    """
    grants: list[Grant] = []
    wakes: list[float] = []
    waits: dict[str, int] = {}
    left = budget
    # the emptiest port first, so that the last few recipients go to idle SIMs
    for facts in sorted(ports, key=lambda facts: (facts.outstanding, facts.port)):
        free, why, wake = _free(facts, now, fair=max(1, fair), single=single, slow_start=slow_start)
        if free <= 0:
            waits[why] = waits.get(why, 0) + 1
            if wake is not None:
                wakes.append(wake)
            continue
        count = free if left is None else min(free, left)
        if count > 0:
            grants.append(Grant(facts.port, count, f"{gateway_id}:{facts.port}"))
            left = None if left is None else left - count
    why = ", ".join(f"{count} port{'s' * (count > 1)} {why}" for why, count in waits.items())
    return Turn(tuple(grants), min(wakes, default=None), why)


def _free(
    facts: PortFacts, now: float, *, fair: int, single: bool, slow_start: bool
) -> tuple[int, str, float | None]:
    """Free messages of one port, else why there are none and when that may change."""
    if not facts.usable:
        return 0, "cannot send", None
    if facts.rests_until is not None and now < facts.rests_until:
        return 0, "resting after failures", facts.rests_until
    if now < facts.ready_at:
        return 0, "pacing", facts.ready_at
    window = 1 if slow_start or facts.probing or facts.rests_until is not None else facts.window
    free = min(window, fair) - facts.outstanding
    if free <= 0:
        return 0, "waiting for the first report" if slow_start else "busy", None
    return (1 if single else free), "", None
