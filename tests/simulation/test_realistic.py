"""What stays unknown on an ordinary day, and that nothing does where nothing goes wrong."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.simulation.play import Verdict, play_scenario
from tests.simulation.realistic import HOURS, by_the_batch, ordinary_day

pytestmark = pytest.mark.simulation

_RECIPIENTS = 1584
"""One every fifty seconds; `scripts/simulate --days` plays the whole of it."""


def test_an_ordinary_day_leaves_one_in_a_hundred_unknown_at_most_each_with_its_cause(
    players: ProcessPoolExecutor,
) -> None:
    day = players.submit(play_scenario, ordinary_day(1, recipients=_RECIPIENTS))
    batch = players.submit(play_scenario, by_the_batch(1, faults=False))
    _nothing_unknown(batch.result(), 2000)
    verdict = day.result()
    assert not verdict.broken, verdict.broken
    assert (verdict.deaths, verdict.reboots) == (3, 3)
    assert verdict.seconds >= HOURS * 3600
    assert verdict.recipients == _RECIPIENTS
    assert verdict.states["unknown"] <= _RECIPIENTS / 100
    assert verdict.unknown.total() == verdict.states["unknown"]
    assert set(verdict.unknown) <= {"reboot", "silence", "no_answer", "timeout"}
    for fault in ("answer-lost", "push-lost", "push-twice", "push-late"):
        assert verdict.sometimes[f"fault: {fault}"], fault


def _nothing_unknown(verdict: Verdict, recipients: int) -> None:
    assert not verdict.broken, verdict.broken
    assert verdict.states == {"delivered": recipients}
    assert verdict.seconds < 3600
