"""Every mistake of this field, made in our own code, is caught."""

from __future__ import annotations

import re

import pytest

from tests.simulation.directed import DIRECTED
from tests.simulation.mutants import MUTANTS
from tests.simulation.play import play_scenario

pytestmark = pytest.mark.simulation

_NOT_BY_SEEDS = frozenset({"repost before the horizon"})
_TRIED = 200


def test_every_mutant_has_a_world_that_is_to_catch_it() -> None:
    assert set(DIRECTED) == set(MUTANTS)


@pytest.mark.parametrize("name", MUTANTS)
def test_the_directed_world_catches_the_mutant_and_not_the_real_code(name: str) -> None:
    real = play_scenario(DIRECTED[name])
    assert not real.broken, real.broken
    with MUTANTS[name]():
        mutated = play_scenario(DIRECTED[name])
    assert re.match(r"(I\d+|horizon|inbox): ", mutated.broken), f"{name} survives: {mutated.states}"
