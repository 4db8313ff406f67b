"""One run of a forecast: the planner's turns in virtual time, slice by slice.

What is sent in one slice is decided by `routing.plan_turn`, as in the engine, but for many messages
at once: a slice is as long as nothing changes in it (no window opens or closes, no quota begins
anew), and no longer than a sixteenth of what is left takes, so that failures come back in time and
the last messages are dealt one by one. Its cost grows with the edges on the way and the logarithm
of the recipients, not with their number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from campaign.planner.forecast_deal import Lot, deal_anywhere, deal_by_routes
from campaign.planner.forecast_load import Load, paid, tokens
from campaign.planner.forecast_ports import ForeseenPort, PortLoad
from campaign.planner.forecast_quotas import Calendar, SimQuota
from campaign.planner.pacing import Bucket
from campaign.planner.routing import Turn, plan_turn
from campaign.planner.workload import Conditions, Demand, PlannedSim

HORIZON = 3650 * 86400.0
"""Seconds: what would take longer is never."""

_SLICES = 16
_SHORT = 60.0
"""Seconds: less is no pause worth telling."""
_TICK = 1e-3
CLOSED = "the sending window is closed"


@dataclass(frozen=True)
class Pause:
    """A time in which nothing is sent although somebody waits."""

    begins: datetime
    ends: datetime
    why: str


@dataclass(frozen=True)
class Foreseen:
    """How one run ended. `late`: who still waited at the deadline."""

    finish: datetime | None
    pauses: tuple[Pause, ...]
    ports: tuple[PortLoad, ...]
    late: int


class ForecastRun:
    """Call `advance` until it is False, then ask for `result`."""

    def __init__(
        self,
        now: datetime,
        ours: Demand,
        others: Sequence[Demand],
        sims: Sequence[PlannedSim],
        conditions: Conditions,
        pace: int,
    ) -> None:
        self._now = now
        self._conditions = conditions
        self._loads = [Load(demand, conditions, self._civil) for demand in (ours, *others)]
        self._ours = self._loads[0]
        calendars: dict[tzinfo, Calendar] = {}
        self._ports = [
            ForeseenPort(
                sim,
                pace,
                SimQuota(sim.caps, sim.usage, calendars.setdefault(sim.zone, Calendar(sim.zone)))
                if sim.caps
                else None,
            )
            for sim in sims
        ]
        quotas = [port.quota for port in self._ports if port.quota is not None]
        self._cycle = (28 if any(quota.is_monthly for quota in quotas) else 7) * 86400.0
        self._gateways: dict[str | None, list[ForeseenPort]] = {}
        for port in self._ports:
            self._gateways.setdefault(port.sim.gateway, []).append(port)
        self._by_place = {(port.sim.gateway, port.sim.port): port for port in self._ports}
        self._buckets = {name: (Bucket(), Bucket()) for name in self._gateways}
        self._at = self._end = 0.0
        self._parts = 1.0
        self._pauses: list[tuple[float, float, str]] = []
        self._mark = (0.0, self._ours.left, 0)
        # whom no port may ever serve
        lost = [group for group in ours.groups if not any(sim.serves(group) for sim in sims)]
        self._never = not sims or any(group.messages for group in lost)
        self._routed = any(group.route for demand in (ours, *others) for group in demand.groups)
        deadline = conditions.deadline
        self._deadline = math.inf if deadline is None else (deadline - now).total_seconds()
        self._is_late = False

    def advance(self) -> bool:
        """Go one slice further; False once nothing of ours is left, or it would never be done."""
        if self._ours.left <= 0 or self._never:
            return False
        if self._at >= self._deadline:
            self._is_late = True
            return False
        if self._at > HORIZON:
            self._never = True
            return False
        self._leap()
        for load in self._loads:
            load.look(self._at)
        edge = min(self._deadline, *(load.edge for load in self._loads))
        if not any(load.open_messages for load in self._loads):
            self._skip(min(edge, *(load.due for load in self._loads)), CLOSED)
        else:
            self._slice(edge)
        return True

    def result(self) -> Foreseen:
        finish: datetime | None = self._civil(self._end)
        if self._is_late:
            finish = self._conditions.deadline
        elif self._never or self._end > HORIZON:
            finish = None
        return Foreseen(
            finish,
            tuple(Pause(self._civil(a), self._civil(b), why) for a, b, why in self._pauses),
            tuple(port.load(self._civil) for port in self._ports),
            self._ours.left if self._is_late else 0,
        )

    def _civil(self, at: float) -> datetime:
        return self._now + timedelta(seconds=min(at, 2 * HORIZON))

    def _slice(self, edge: float) -> None:
        """Send what fits until `edge`, or a sixteenth of what is left; else wait."""
        waiting = sum(load.open_messages for load in self._loads)
        self._parts = sum(load.open_parts for load in self._loads) / waiting
        if self._routed:
            for port in self._ports:
                port.parts = self._parts_for(port)
        steps = [port.step(port.parts or self._parts) for port in self._ports]
        capacity = sum(1 / step for step in steps)
        begins = max(self._at, min(port.ready for port in self._ports))
        ours = self._ours.open_messages
        left = ours * sum(load.open_messages > 0 for load in self._loads) if ours else waiting
        slice_ = max(min(steps), left / (_SLICES * capacity))
        end = min(edge, self._quota_edge(), begins + slice_)
        if not ours:  # others go on while ours wait
            end = max(begins + _TICK, min(end, self._ours.due, self._ours.edge))
        if begins >= edge:
            self._skip(edge, "")
            return
        turns = self._turns(end, capacity)
        room = [
            (self._by_place[name, grant.port], grant.count)
            for name, turn in turns
            for grant in turn.grants
        ]
        if not ours:
            self._pause(self._at, min(end, self._ours.edge), CLOSED)
        if room and self._send(room, begins, end):
            spent = all(port.is_short for port in self._ports)
            self._at = max(self._at, min(end, max(p.ready for p in self._ports))) if spent else end
            return
        whys = sorted({turn.why for _, turn in turns} - {""})
        self._skip(min(self._next_times(turns, edge), default=math.inf), "; ".join(whys))

    def _parts_for(self, port: ForeseenPort) -> float:
        """SMS parts of a message, in the mean, of those a port may serve; 0: nobody."""
        messages = sum(load.open_for(port.sim.serves) for load in self._loads)
        parts = sum(load.open_for(port.sim.serves, in_parts=True) for load in self._loads)
        return parts / messages if messages else 0.0

    def _next_times(self, turns: Iterable[tuple[str | None, Turn]], edge: float) -> list[float]:
        """When something may be sent again: a port, a rate, a window, one that failed."""
        times = [turn.wake_at for _, turn in turns if turn.wake_at is not None]
        for load in self._loads:
            times += [load.bucket.next_at, load.part_bucket.next_at, load.due]
        times += [bucket.next_at for pair in self._buckets.values() for bucket in pair]
        times += [port.ready for port in self._ports]
        return [at for at in (*times, edge) if self._at < at < math.inf]

    def _turns(self, end: float, capacity: float) -> list[tuple[str | None, Turn]]:
        """The planner's turn at each gateway: each gets its part of what the rates let go."""
        now = self._civil(self._at)
        most = sum(self._most(load, end) for load in self._loads)
        seen = {
            name: [port.look(self._at, end, port.parts or self._parts, now) for port in ports]
            for name, ports in self._gateways.items()
        }
        queued = sum(facts.outstanding for ports in seen.values() for facts in ports)
        fair = -(-(most + queued) // len(self._ports))
        turns: list[tuple[str | None, Turn]] = []
        for number, (name, ports) in enumerate(self._gateways.items()):
            able = sum(1 / port.step(self._parts) for port in ports)
            budget = math.ceil(most * min(1.0, able / capacity) - 1e-9)
            capacity = max(capacity - able, 1e-12)
            budget = int(min(budget, self._gateway_tokens(name, end)))
            turn = plan_turn(
                number, seen[name], end, fair=fair, budget=budget, single=False, slow_start=False
            )  # fmt: skip
            most -= sum(grant.count for grant in turn.grants)
            turns.append((name, turn))
        return turns

    def _most(self, load: Load, end: float) -> int:
        """How many messages of a campaign may go before `end`, as far as it is up to itself."""
        return int(min(load.open_messages, load.tokens(self._at, end, self._parts)))

    def _gateway_tokens(self, name: str | None, end: float) -> float:
        whole, part = self._buckets[name]
        gaps = self._conditions.gateway_gaps, self._conditions.gateway_part_gaps
        return min(
            tokens(whole, gaps[0].get(name, 0.0), self._at, end),
            tokens(part, gaps[1].get(name, 0.0) * self._parts, self._at, end),
        )

    def _send(self, room: Sequence[tuple[ForeseenPort, int]], begins: float, end: float) -> bool:
        """Send through ports with room for so many; False if nobody could go there."""
        paced = self._ours.paced_at(self._at)
        most = [self._most(load, end) for load in self._loads]
        deal = deal_by_routes if self._routed else deal_anywhere
        dealt = deal(self._loads, room, most, self._at)
        for lot in dealt.lots:
            self._send_lot(lot)
        last = [lot for lot in dealt.lots if lot.ours[1]]
        if paced and last:
            parts = last[-1].parts / last[-1].messages
            air = min(lot.port.air(parts) for lot in last)
            self._end = max(self._end, self._ours.last_start(parts) + air)
        shortest = min(port.step(self._parts) for port in self._ports)
        for load, taken in dealt.taken:
            load.fail(taken, begins + max((end - begins) / 2, shortest))
        return dealt.messages > 0

    def _send_lot(self, lot: Lot) -> None:
        port, parts = lot.port, lot.parts / lot.messages
        port.recipients += lot.ours[0]
        port.messages += lot.ours[1]
        port.segments += lot.ours[2]
        charged = math.ceil(lot.parts - 1e-9)
        over = port.send(self._at, lot.messages, parts, self._civil(self._at), charged)
        if lot.ours[1]:
            self._end = max(self._end, over)
        self._pay_gateway(port.sim.gateway, lot.messages, parts)

    def _pay_gateway(self, name: str | None, messages: int, parts: float) -> None:
        whole, part = self._buckets[name]
        gap = self._conditions.gateway_gaps.get(name, 0.0)
        part_gap = self._conditions.gateway_part_gaps.get(name, 0.0)
        self._buckets[name] = (
            paid(whole, self._at, gap * messages) if gap else whole,
            paid(part, self._at, part_gap * messages * parts) if part_gap else part,
        )

    def _quota_edge(self) -> float:
        if all(port.quota is None for port in self._ports):
            return math.inf
        now = self._civil(self._at)
        changes = [p.quota.changes_at(now) for p in self._ports if p.quota is not None]
        return min(
            (self._at + (at - now).total_seconds() for at in changes if at is not None),
            default=math.inf,
        )

    def _skip(self, to: float, why: str) -> None:
        """Nothing is sent until `to`."""
        if to == math.inf:
            self._never = True
            return
        self._pause(min(self._at, max(port.ready for port in self._ports)), to, why)
        self._at = max(to, self._at + _TICK)

    def _pause(self, begins: float, ends: float, why: str) -> None:
        """Tell of a pause; one that goes on is one."""
        if not why or (why == CLOSED and self._ours.open_messages):
            return
        if self._pauses and self._pauses[-1][1] >= begins - _TICK and self._pauses[-1][2] == why:
            begins = self._pauses.pop()[0]
        elif self._pauses:
            begins = max(begins, self._pauses[-1][1])
        if ends - begins >= _SHORT:
            self._pauses.append((begins, ends, why))

    def _leap(self) -> None:
        """Years of waiting for quotas: where one cycle was as the one before, the next ones are
        taken to be alike, and all but the last are passed over."""
        began, left, before = self._mark
        if self._at < began + self._cycle:
            return
        done = left - self._ours.left
        alike = before > 0 and abs(done - before) <= before / 50
        whole = self._ours.left // done - 1 if alike and done else 0
        whole = min(whole, int((HORIZON - self._at) // self._cycle) + 1)
        if whole > 0:
            self._at += whole * self._cycle
            self._ours.thin(whole * done)
            for port in self._ports:
                port.leap(self._at, whole)
        for port in self._ports:
            port.mark()
        self._mark = (self._at, self._ours.left, done)
