"""Row "plan": what a launch of the list would come to."""

from __future__ import annotations

import tempfile
from pathlib import Path

from scripts.measure.child import spent_by
from scripts.measure.figure import Sample, Scale
from scripts.measure.lists import mixed_list
from scripts.measure.processes import command, environment


def run(scale: Scale) -> Sample:
    path = mixed_list(scale.rows)
    with tempfile.TemporaryDirectory(prefix="campaign-bench-") as name:
        folder = Path(name)
        plan = command("--db", str(folder / "campaign.db"), "plan", str(path), "--message", "Hello")
        spent = spent_by(plan, environment(folder), folder / "log")
    return Sample("plan", scale.rows, "rows", spent.seconds, spent.cpu_seconds, spent.rss_mb)
