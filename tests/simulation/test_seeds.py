"""Five hundred worlds: nobody twice, no false fact, every invariant after every commit."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.simulation.coverage import REQUIRED
from tests.simulation.figures import Figures
from tests.simulation.play import play

SEEDS = 500

pytestmark = pytest.mark.simulation


def test_no_seed_breaks_an_invariant_and_all_is_reached(players: ProcessPoolExecutor) -> None:
    figures = Figures()
    for verdict in players.map(play, range(SEEDS), chunksize=5):
        figures.add(verdict)
    assert not figures.broken, "\n".join(
        f"seed {seed}: {text}\n  replay: scripts/simulate_seed {seed}"
        for seed, text in figures.broken.items()
    )
    assert figures.missing(REQUIRED) == []
    assert figures.deaths > SEEDS / 2
    assert figures.reboots > SEEDS / 20
