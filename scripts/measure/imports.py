"""Row "list import": a CSV becomes a campaign, cleaned, without repetitions, in the real ledger.

From the start of `campaign launch` to a whole list that waits for its start; nothing is sent. One
row in a hundred stands twice, one in two hundred is no number, one in four has spaces, brackets or
no `+`.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from scripts.measure.child import asked, end_receiver, spent_so_far, started, until
from scripts.measure.figure import Sample, Scale
from scripts.measure.lists import mixed_list
from scripts.measure.prepared import launch, register
from scripts.measure.processes import environment

_WHOLE = "SELECT 1 FROM campaigns WHERE state = 'scheduled'"


def run(scale: Scale) -> Sample:
    path = mixed_list(scale.rows)
    with tempfile.TemporaryDirectory(prefix="campaign-bench-") as name:
        folder = Path(name)
        db, log, env = folder / "campaign.db", folder / "log", environment(folder)
        register(folder, "http://127.0.0.1:9")
        began = time.perf_counter()
        with started(launch(db, path, "--start", "2099-01-01T00:00Z"), env, log) as process:
            until(process, lambda: asked(db, _WHOLE) == 1, log)
            spent = spent_so_far(process.pid, began)
        end_receiver(db)
        count = asked(db, "SELECT sum(n) FROM tallies") + asked(db, "SELECT refused FROM campaigns")
        if count != scale.rows:
            raise RuntimeError(f"{count} of {scale.rows} rows are accounted for")
    return Sample("list import", count, "rows", spent.seconds, spent.cpu_seconds, spent.rss_mb)
