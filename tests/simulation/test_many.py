"""Sixty worlds of campaigns that overtake, judge and pause themselves: every invariant holds."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.simulation.figures import Figures
from tests.simulation.many import play_crowded

SEEDS = 60

pytestmark = pytest.mark.simulation


def test_campaigns_beside_each_other_break_no_invariant(players: ProcessPoolExecutor) -> None:
    figures = Figures()
    for verdict in players.map(play_crowded, range(SEEDS), chunksize=5):
        figures.add(verdict)
    assert not figures.broken, "\n".join(
        f"seed {seed}: {text}" for seed, text in figures.broken.items()
    )
    assert figures.deaths > SEEDS / 2
