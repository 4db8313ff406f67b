"""Worlds are played by several processes side by side: each has its own scheduler and clock."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest


@pytest.fixture(scope="session")
def players() -> Iterator[ProcessPoolExecutor]:
    """One process a core; spawned, so that nothing of this one is in them."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count() or 1, mp_context=context) as pool:
        yield pool
