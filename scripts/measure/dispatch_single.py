"""Row "dispatch, one by one": a post for every message, a push for every report.

What a device costs that is spoken to without any batching; a fortieth of the messages is enough.
"""

from __future__ import annotations

from scripts.measure.dispatch import Workload, measure
from scripts.measure.figure import Sample, Scale

SINGLE = Workload("dispatch, one by one", "Hello {name}, from the north", 1, 1, 1)
_SHARE = 40


def run(scale: Scale) -> Sample:
    return measure(SINGLE, max(50, scale.messages // _SHARE))
