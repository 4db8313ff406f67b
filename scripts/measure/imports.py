"""Row "list import": a CSV becomes a campaign, cleaned, without repetitions, in the real ledger.

From the start of `campaign launch` to a whole list that waits for its start; nothing is sent. One
row in a hundred stands twice, one in two hundred is no number, one in four has spaces, brackets or
no `+`.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from scripts.measure.child import (
    asked,
    clean_environment,
    ours,
    spent_by,
    spent_so_far,
    started,
    until,
)
from scripts.measure.figure import Sample, Scale
from scripts.measure.lists import mixed_list

_WHOLE = "SELECT 1 FROM campaigns WHERE state = 'scheduled'"


def run(scale: Scale) -> Sample:
    path = mixed_list(scale.rows)
    with tempfile.TemporaryDirectory(prefix="campaign-bench-") as name:
        folder = Path(name)
        db, log, env = folder / "campaign.db", folder / "log", clean_environment(folder)
        register(db, folder, env)
        launch = ours(
            "--db", str(db), "launch", str(path), "--name", "bench", "--yes",
            "--message", "Hello from the north", "--start", "2099-01-01T00:00Z",
        )  # fmt: skip
        began = time.perf_counter()
        with started(launch, env, log) as process:
            until(process, lambda: asked(db, _WHOLE) == 1, log)
            spent = spent_so_far(process.pid, began)
        count = asked(db, "SELECT sum(n) FROM tallies") + asked(db, "SELECT refused FROM campaigns")
        if count != scale.rows:
            raise RuntimeError(f"{count} of {scale.rows} rows are accounted for")
    return Sample(
        "list import", count, "rows", spent.seconds, spent.cpu_seconds, spent.rss_mb
    )


def register(db: Path, folder: Path, env: dict[str, str]) -> None:
    """A gateway that nothing is ever sent to: nobody listens there."""
    spent_by(
        ours("--db", str(db), "gateway", "add", "gw", "http://127.0.0.1:9",
             "--username", "root", "--password-env", "BENCH_PASSWORD"),
        env, folder / "log",
    )  # fmt: skip
