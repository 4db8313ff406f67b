"""Switching: which SIM of a port takes over when the one in use has used up a limit."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from campaign.protocol.codes import USABLE_PORT_CODES, PortCode

_READY = frozenset({PortCode.IDLE_SIM, PortCode.SIM_DETECTED, *USABLE_PORT_CODES})
"""States of a SIM aside that can be put to work, as far as its device tells."""


@dataclass(frozen=True, slots=True)
class SlotSim:
    """A SIM in one slot of a port; `sim` is its name in the ledger."""

    slot: int
    pool: str
    sim: str
    iccid: str
    code: int | None
    used_up: bool


def next_sim(sims: Sequence[SlotSim], in_use: int, tried: Collection[int]) -> SlotSim | None:
    """The SIM to put to work in place of that in slot `in_use`: the next in turn that is there,
    has room left and was not tried in vain. None: there is none."""
    fit = [
        sim
        for sim in sims
        if sim.slot not in (0, in_use)
        and sim.slot not in tried
        and sim.code in _READY
        and not sim.used_up
    ]
    return min(fit, key=lambda sim: (sim.slot < in_use, sim.slot), default=None)
