"""A seed is one story: on every run, in every process, whatever the hashes of strings are."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from trio._core import _run as scheduler

from tests.simulation.determinism import GENERATOR, SWITCH, run_seeded

_ROOT = Path(__file__).resolve().parents[2]
_SEED = 8
_PROGRAM = f"from tests.simulation.play import play; print(play({_SEED}).digest)"


async def order_of(tasks: int) -> list[int]:
    """In which order tasks run that are ready together."""
    order: list[int] = []

    async def run(nth: int) -> None:
        for _ in range(3):
            await trio.lowlevel.checkpoint()
            order.append(nth)

    async with trio.open_nursery() as nursery:
        for nth in range(tasks):
            nursery.start_soon(run, nth)
    return order


def test_trio_still_has_the_switch_and_the_generator() -> None:
    assert getattr(scheduler, SWITCH) in (True, False)
    assert isinstance(getattr(scheduler, GENERATOR), random.Random)


def test_a_seed_decides_the_order_of_tasks() -> None:
    first = run_seeded(1, lambda: order_of(9))
    assert run_seeded(1, lambda: order_of(9)) == first
    assert any(run_seeded(seed, lambda: order_of(9)) != first for seed in range(2, 6))


@pytest.mark.simulation
def test_a_seed_is_the_same_story_in_every_process() -> None:
    digests = set()
    for hashes in ("1", "2", "77"):
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            capture_output=True, text=True, check=True, cwd=_ROOT,
            env={**os.environ, "PYTHONHASHSEED": hashes, "PYTHONPATH": str(_ROOT)},
        )  # fmt: skip
        digests.add(done.stdout.strip())
    assert len(digests) == 1, digests
