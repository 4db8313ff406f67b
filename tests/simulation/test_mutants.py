"""Every mistake of this field, made in our own code, is caught."""

from __future__ import annotations

from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass

import pytest

from tests.simulation.directed import DIRECTED
from tests.simulation.killers import KILLERS
from tests.simulation.mutants import MUTANTS
from tests.simulation.play import Verdict, play_mutated, play_scenario
from tests.simulation.scenario import draw

pytestmark = pytest.mark.simulation


def test_every_mutant_has_a_world_that_is_to_catch_it() -> None:
    assert set(DIRECTED) == set(MUTANTS)


@dataclass(frozen=True)
class Played:
    """The directed world of a mutant, with the real code and with the mutant's, and the worlds of
    the seeds that caught it when they were looked for (`scripts/simulate --mutants`)."""

    real: Future[Verdict]
    mutated: Future[Verdict]
    seeds: list[Future[Verdict]]


@pytest.fixture(scope="module")
def played(players: ProcessPoolExecutor) -> dict[str, Played]:
    """All at once: every core has one to play."""
    return {
        name: Played(
            players.submit(play_scenario, DIRECTED[name]),
            players.submit(play_mutated, name, DIRECTED[name]),
            [players.submit(play_mutated, name, draw(seed)) for seed in KILLERS[name]],
        )
        for name in MUTANTS
    }


@pytest.mark.parametrize("name", MUTANTS)
def test_one_of_its_seeds_catches_the_mutant(played: dict[str, Played], name: str) -> None:
    assert any(verdict.result().law for verdict in played[name].seeds)


@pytest.mark.parametrize("name", MUTANTS)
def test_the_directed_world_catches_the_mutant_and_not_the_real_code(
    played: dict[str, Played], name: str
) -> None:
    real, mutated = played[name].real.result(), played[name].mutated.result()
    assert not real.broken, real.broken
    assert mutated.law is not None, f"{name} survives: {mutated.states} {mutated.broken}"
