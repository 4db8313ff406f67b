"""Who gets what of one slice of a forecast: which campaigns' messages each port takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from campaign.planner.forecast_load import Load, Taken
from campaign.planner.forecast_ports import ForeseenPort


@dataclass(frozen=True)
class Lot:
    """What one port sends in a slice: messages of all campaigns, their SMS parts (a mean adds up
    to it), and of our campaign (first tries, messages, SMS parts)."""

    port: ForeseenPort
    messages: int
    parts: float
    ours: tuple[int, int, int]


@dataclass(frozen=True)
class Dealt:
    """A slice dealt out: by port, and what was taken of each campaign (ours is the first)."""

    lots: tuple[Lot, ...]
    taken: tuple[tuple[Load, Taken], ...]

    @property
    def messages(self) -> int:
        return sum(taken.messages for _, taken in self.taken)


def deal_anywhere(
    loads: Sequence[Load], room: Sequence[tuple[ForeseenPort, int]], most: Sequence[int], at: float
) -> Dealt:
    """Deal to ports that may all serve everybody: each port gets the same mix."""
    total = sum(count for _, count in room)
    counts = shares(total, most, [load.weight for load in loads])
    taken = [load.take(count, at) for load, count in zip(loads, counts, strict=True)]
    sent, parts = sum(lot.messages for lot in taken), sum(lot.parts for lot in taken)
    ours = (taken[0].first_tries, taken[0].messages, taken[0].parts)
    lots: list[Lot] = []
    seen, shown, whole = 0, [0, 0, 0], 0
    for port, count in room:
        seen += count
        upto = [figure * seen // total for figure in ours]
        begun = sent * seen // total
        first, messages, segments = (new - old for new, old in zip(upto, shown, strict=True))
        mean = parts / sent if sent else 0.0
        if begun > whole:
            lots.append(
                Lot(port, begun - whole, mean * (begun - whole), (first, messages, segments))
            )
        shown, whole = upto, begun
    return Dealt(tuple(lots), tuple(zip(loads, taken, strict=True)))


def deal_by_routes(
    loads: Sequence[Load], room: Sequence[tuple[ForeseenPort, int]], most: Sequence[int], at: float
) -> Dealt:
    """Deal to ports that may each serve some only; those that may serve fewest are asked first."""
    left = list(most)
    lots: list[Lot] = []
    taken: list[tuple[Load, Taken]] = []

    def served(item: tuple[ForeseenPort, int]) -> int:
        return sum(load.open_for(item[0].sim.serves) for load in loads)

    for port, count in sorted(room, key=served):
        able = [
            min(rest, load.open_for(port.sim.serves))
            for rest, load in zip(left, loads, strict=True)
        ]
        counts = shares(count, able, [load.weight for load in loads])
        mine = [load.take(n, at, port.sim.serves) for load, n in zip(loads, counts, strict=True)]
        left = [rest - lot.messages for rest, lot in zip(left, mine, strict=True)]
        sent = sum(lot.messages for lot in mine)
        if sent:
            ours = (mine[0].first_tries, mine[0].messages, mine[0].parts)
            lots.append(Lot(port, sent, float(sum(lot.parts for lot in mine)), ours))
            taken += zip(loads, mine, strict=True)
    return Dealt(tuple(lots), tuple(taken))


def shares(total: int, most: Sequence[int], weights: Sequence[int]) -> list[int]:
    """`total` divided by weights, nobody above their `most`; what one leaves, others get."""
    counts = [0] * len(most)
    while total > 0:
        hungry = [i for i, count in enumerate(counts) if count < most[i]]
        if not hungry:
            break
        whole, pool = sum(weights[i] for i in hungry), total
        for i in hungry:
            more = min(max(1, pool * weights[i] // whole), most[i] - counts[i], total)
            counts[i] += more
            total -= more
    return counts
