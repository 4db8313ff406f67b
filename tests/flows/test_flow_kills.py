"""Twenty kills at random over one campaign: engine, receiver, gateways; every promise holds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.flows.killing import Stage, Victim, go_through

pytestmark = pytest.mark.process

_SEED = int(os.environ.get("KILLS_SEED", "20260307"))
_KILLS = 20


def test_twenty_kills_at_random_moments_break_no_promise(tmp_path: Path) -> None:
    toll = go_through(tmp_path, _SEED, _KILLS)
    shown = f"KILLS_SEED={_SEED}: {toll}"
    assert not toll.verdict.findings, shown
    assert toll.unspent == 0, shown
    assert toll.killed.total() == _KILLS, shown
    assert set(toll.stages) == set(Stage), shown
    assert set(toll.killed) == set(Victim), shown
    assert toll.verdict.sent > 0.7 * toll.recipients, shown
