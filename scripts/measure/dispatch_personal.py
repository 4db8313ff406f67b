"""Row "dispatch, personalised": a text of its own for everybody, so a task each; 100 a post."""

from __future__ import annotations

from scripts.measure.dispatch import Workload, measure
from scripts.measure.figure import Sample, Scale

PERSONAL = Workload("dispatch, personalised", "Hello {name}, from the north", 100, 100, 100)


def run(scale: Scale) -> Sample:
    return measure(PERSONAL, scale.messages)
