"""Row "resume": a campaign whose engine was killed goes on.

From the start of `campaign resume` to the first new intent in the ledger, with all that an
ordinary start does: recovery, sign-in, a look at the device, asking after what is in doubt. The
receiver was not killed; without it, the wait would be for the device to try its reports again.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from scripts.measure.child import asked, end_receiver, spent_so_far, started, until
from scripts.measure.figure import Sample, Scale
from scripts.measure.prepared import kill_sending
from scripts.measure.processes import command, environment, simulator

_LAST = "SELECT max(id) FROM tasks WHERE intent_ms IS NOT NULL"


def run(scale: Scale) -> Sample:
    with tempfile.TemporaryDirectory(prefix="campaign-bench-") as name:
        folder = Path(name)
        with simulator(folder, environment(folder), "ports=50", "sms-seconds=0") as url:
            return _measure(folder, url, scale)


def _measure(folder: Path, url: str, scale: Scale) -> Sample:
    kill_sending(folder, scale.rows, url)
    db, log, env = folder / "campaign.db", folder / "log", environment(folder)
    before = asked(db, _LAST)
    began = time.perf_counter()
    with started(command("--db", str(db), "resume", "bench"), env, log) as engine:
        until(engine, lambda: asked(db, _LAST) > before, log)
        spent = spent_so_far(engine.pid, began)
    end_receiver(db)
    return Sample(
        "resume", scale.rows, "recipients", spent.seconds, spent.cpu_seconds, spent.rss_mb,
        notes={"first_intent_s": spent.seconds},
    )  # fmt: skip
