"""One small campaign, broken off at every step, operation, request and push.

Here every seventh step is taken; `scripts/simulate --everywhere` takes all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.simulation.play import Verdict, play_scenario
from tests.simulation.scenario import Scenario
from tests.simulation.small import (
    REQUEST_KINDS,
    SMALL,
    crashed_at,
    disk_fails_at,
    push_refused,
    request_fails,
)

pytestmark = pytest.mark.simulation

_EVERY = 7


@pytest.fixture(scope="module")
def whole() -> Verdict:
    """The campaign without any fault."""
    verdict = play_scenario(SMALL)
    assert not verdict.broken, verdict.broken
    assert verdict.states == {"delivered": 5, "failed": 1}
    return verdict


def broken(players: ProcessPoolExecutor, scenarios: Iterable[Scenario]) -> list[str]:
    played = list(players.map(play_scenario, list(scenarios), chunksize=4))
    assert played
    return [verdict.broken for verdict in played if verdict.broken]


def test_killed_at_a_step_it_goes_on_and_nobody_is_sent_twice(
    players: ProcessPoolExecutor, whole: Verdict
) -> None:
    assert whole.step > 200
    assert broken(players, map(crashed_at, range(0, whole.step, _EVERY))) == []


def test_killed_again_while_it_recovers_it_goes_on(
    players: ProcessPoolExecutor, whole: Verdict
) -> None:
    steps = range(3, whole.step, _EVERY)
    assert broken(players, (crashed_at(step, step * 13 % 90) for step in steps)) == []


def test_whichever_operation_its_disk_refuses_it_goes_on(
    players: ProcessPoolExecutor, whole: Verdict
) -> None:
    assert whole.operations > 50
    assert broken(players, map(disk_fails_at, range(whole.operations))) == []


@pytest.mark.parametrize("kind", REQUEST_KINDS)
def test_whichever_request_fails_nobody_is_sent_twice(
    players: ProcessPoolExecutor, whole: Verdict, kind: str
) -> None:
    assert whole.requests > 4
    assert broken(players, (request_fails(nth, kind) for nth in range(whole.requests))) == []


def test_whichever_push_the_inbox_refuses_none_is_lost(
    players: ProcessPoolExecutor, whole: Verdict
) -> None:
    assert whole.pushes > 2
    played = list(players.map(play_scenario, map(push_refused, range(whole.pushes))))
    assert [verdict.broken for verdict in played] == [""] * whole.pushes
    assert all(verdict.states == whole.states for verdict in played)
