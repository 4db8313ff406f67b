"""Row "report, CSV": the delivery report of the whole campaign into a file."""

from __future__ import annotations

from scripts.measure.figure import Sample, Scale
from scripts.measure.reports import measure


def run(scale: Scale) -> Sample:
    return measure("csv", scale)
