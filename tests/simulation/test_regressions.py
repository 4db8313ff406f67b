"""What once went wrong does not go wrong again."""

from __future__ import annotations

from concurrent.futures import Future, ProcessPoolExecutor

import pytest

from tests.simulation.play import Verdict, play_scenario
from tests.simulation.regressions import REGRESSIONS

pytestmark = pytest.mark.simulation

Played = dict[str, Future[Verdict]]


@pytest.fixture(scope="module")
def played(players: ProcessPoolExecutor) -> Played:
    """All at once: every core has one to play."""
    return {name: players.submit(play_scenario, world) for name, world in REGRESSIONS.items()}


@pytest.mark.parametrize("name", REGRESSIONS)
def test_it_stays_mended(played: Played, name: str) -> None:
    verdict = played[name].result()
    assert not verdict.broken, verdict.broken


@pytest.mark.parametrize("name", [name for name in REGRESSIONS if "receipt" in name])
def test_the_first_stays_unknown_and_the_second_is_delivered(played: Played, name: str) -> None:
    verdict = played[name].result()
    assert verdict.states == {"unknown": 1, "delivered": 1}
    assert verdict.sent == 1
