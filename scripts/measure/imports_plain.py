"""Row "list insert, sqlite-utils": the same file into a table, as it is."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from scripts.measure.child import asked, spent_by
from scripts.measure.figure import Sample, Scale
from scripts.measure.lists import mixed_list
from scripts.measure.processes import environment


def run(scale: Scale) -> Sample:
    path = mixed_list(scale.rows)
    with tempfile.TemporaryDirectory(prefix="campaign-bench-") as name:
        folder = Path(name)
        db = folder / "plain.db"
        insert = [sys.executable, "-m", "sqlite_utils", "insert", str(db), "people", str(path)]
        spent = spent_by([*insert, "--csv"], environment(folder), folder / "log")
        count = asked(db, "SELECT count(*) FROM people")
    return Sample(
        "list insert, sqlite-utils", count, "rows", spent.seconds, spent.cpu_seconds, spent.rss_mb
    )
