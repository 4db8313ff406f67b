"""Row "resume": a campaign whose engine was killed goes on.

From the start of `campaign resume` to the first new intent in the ledger, with all that an
ordinary start does: recovery, sign-in, a look at the device, asking after what is in doubt.
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import time

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
from scripts.measure.prepared import copied, killed_ledger

_LAST = "SELECT max(id) FROM tasks WHERE intent_ms IS NOT NULL"


def run(scale: Scale) -> Sample:
    with copied(killed_ledger(scale.rows, _device())) as folder:
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


@functools.cache
def _device() -> str:
    """A simulated gateway for all runs; it goes with this process."""
    process = subprocess.Popen(
        ours("simulate", "--set", "ports=50", "--set", "sms-seconds=0"),
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    _KEPT.append(process)
    words = process.stdout.readline().split() if process.stdout else []
    if words[:2] != ["listening", "on"]:
        raise RuntimeError("the simulated gateway did not start")
    return words[2]


class _Processes(list["subprocess.Popen[str]"]):
    def __del__(self) -> None:
        for process in self:
            os.kill(process.pid, signal.SIGTERM)


_KEPT = _Processes()
