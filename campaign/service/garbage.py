"""How often Python looks for garbage that refers to itself, in a process that moves many rows.

By default it looks after every 700 new containers: a batch of ten thousand messages makes ten
times as many that are all still in use, and are gone by themselves a moment later. That took an
eighth of the engine's time.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_NEW_CONTAINERS = 50_000
"""At most so many are not looked at yet: about 5 MB."""


@contextmanager
def collected_rarely() -> Iterator[None]:
    """Look seldom, and never at what was there before (the program itself)."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_NEW_CONTAINERS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
