"""Hypothesis without randomness or a clock: the same examples on every run and every machine."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "campaign",
    derandomize=True,
    deadline=None,
    database=None,
    # How long drawing an example takes is the machine's business, not the program's.
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("campaign")
