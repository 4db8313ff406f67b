"""How a simulated device is told from a real one."""

from __future__ import annotations

from typing import Final

SIMULATOR_MARK: Final = "campaign-simulator"
"""What a simulated device's `ver` begins with; no real one says this."""


def is_simulated(version: str) -> bool:
    """Whether a device that says this of its version costs nothing and reaches nobody."""
    return version.split(" ", 1)[0] == SIMULATOR_MARK
