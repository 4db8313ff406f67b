"""Row "resume": a campaign whose engine was killed goes on.

From the start of `campaign resume` to the first new intent in the ledger, with all that an
ordinary start does: recovery, sign-in, a look at the device, asking after what is in doubt. The
receiver was not killed; without it, the wait would be for the device to try its reports again.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.measure.child import (
    asked,
    clean_environment,
    end_receiver,
    ours,
    spent_so_far,
    started,
    until,
)
from scripts.measure.figure import Sample, Scale
from scripts.measure.prepared import kill_sending

_LAST = "SELECT max(id) FROM tasks WHERE intent_ms IS NOT NULL"


def run(scale: Scale) -> Sample:
    with tempfile.TemporaryDirectory(prefix="campaign-bench-") as name, _device() as url:
        folder = Path(name)
        kill_sending(folder, scale.rows, url)
        db, log, env = folder / "campaign.db", folder / "log", clean_environment(folder)
        before = asked(db, _LAST)
        began = time.perf_counter()
        with started(ours("--db", str(db), "resume", "bench"), env, log) as engine:
            until(engine, lambda: asked(db, _LAST) > before, log)
            spent = spent_so_far(engine.pid, began)
        end_receiver(db)
    return Sample(
        "resume", scale.rows, "recipients", spent.seconds, spent.cpu_seconds, spent.rss_mb,
        notes={"first_intent_s": spent.seconds},
    )  # fmt: skip


@contextmanager
def _device() -> Iterator[str]:
    """A simulated gateway whose messages take no time."""
    command = ours("simulate", "--set", "ports=50", "--set", "sms-seconds=0")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            words = process.stdout.readline().split() if process.stdout else []
            if words[:2] != ["listening", "on"]:
                raise RuntimeError("the simulated gateway did not start")
            yield words[2]
        finally:
            process.kill()
