"""What once went wrong does not go wrong again."""

from __future__ import annotations

import pytest

from tests.simulation.play import play_scenario
from tests.simulation.regressions import REGRESSIONS

pytestmark = pytest.mark.simulation


@pytest.mark.parametrize("name", REGRESSIONS)
def test_it_stays_mended(name: str) -> None:
    verdict = play_scenario(REGRESSIONS[name])
    assert not verdict.broken, verdict.broken


@pytest.mark.parametrize("name", [name for name in REGRESSIONS if "receipt" in name])
def test_the_first_stays_unknown_and_the_second_is_delivered(name: str) -> None:
    verdict = play_scenario(REGRESSIONS[name])
    assert verdict.states == {"unknown": 1, "delivered": 1}
    assert verdict.sent == 1
