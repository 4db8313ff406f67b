"""Every mistake of this field, made in our own code, is caught."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.simulation.directed import DIRECTED
from tests.simulation.killers import KILLERS
from tests.simulation.mutants import MUTANTS
from tests.simulation.play import play_mutated, play_scenario

pytestmark = pytest.mark.simulation


def test_every_mutant_has_a_world_that_is_to_catch_it() -> None:
    assert set(DIRECTED) == set(MUTANTS)


@pytest.mark.parametrize("name", MUTANTS)
def test_seeds_catch_the_mutant_too(players: ProcessPoolExecutor, name: str) -> None:
    """At least one of those that did when they were looked for (`scripts/simulate --mutants`)."""
    caught = players.map(play_mutated, [name] * len(KILLERS[name]), KILLERS[name])
    assert any(verdict.law for verdict in caught)


@pytest.mark.parametrize("name", MUTANTS)
def test_the_directed_world_catches_the_mutant_and_not_the_real_code(name: str) -> None:
    real = play_scenario(DIRECTED[name])
    assert not real.broken, real.broken
    with MUTANTS[name]():
        mutated = play_scenario(DIRECTED[name])
    assert mutated.law is not None, f"{name} survives: {mutated.states} {mutated.broken}"
