"""Row "engine memory": the most an engine holds of a tenth, one and ten times the recipients.

From the first row of the list until `messages` of its messages are final, with their reports; then
it is ended. The notes have the peak of each size, in MB.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from scripts.measure.databases import ask, bound_receiver, wait_until
from scripts.measure.dispatch import BROADCAST, launching, write_list
from scripts.measure.figure import Sample, Scale
from scripts.measure.prepared import register
from scripts.measure.processes import (
    cpu_seconds,
    end,
    environment,
    has_ended,
    rss_mb,
    running,
    simulator,
)

_LONGEST = 1800.0
_SENT = "SELECT coalesce(sum(n), 0) FROM tallies WHERE state = 'sent'"


def run(scale: Scale) -> Sample:
    sizes = (scale.rows // 10, scale.rows, scale.rows * 10)
    found = [_one(rows, min(scale.messages, rows // 2)) for rows in sizes]
    return Sample(
        "engine memory", sum(sizes), "recipients",
        sum(one.seconds for one in found), sum(one.cpu_seconds for one in found),
        max(one.rss_mb or 0.0 for one in found),
        {f"rss_mb_at_{rows:,}": one.rss_mb or 0.0 for rows, one in zip(sizes, found, strict=True)},
    )  # fmt: skip


def _one(rows: int, messages: int) -> Sample:
    with tempfile.TemporaryDirectory(prefix="campaign-bench-") as name:
        folder = Path(name)
        env = environment(folder)
        write_list(folder / "list.csv", rows)
        device = f"ports={BROADCAST.ports}", "sms-seconds=0", "queue-limit=1000000"
        with simulator(folder, env, *device) as url:
            register(folder, url)
            began = time.perf_counter()
            with running(launching(folder, BROADCAST), env, folder / "engine.log") as engine:
                ledger = folder / "campaign.db"
                wait_until(
                    lambda: int(ask(ledger, _SENT) or 0) >= messages or has_ended(engine), _LONGEST
                )
                if int(ask(ledger, _SENT) or 0) < messages:
                    raise RuntimeError((folder / "engine.log").read_text()[-2000:])
                peak, spent = rss_mb(engine.pid), cpu_seconds(engine.pid)
                seconds = time.perf_counter() - began
            bound = bound_receiver(folder)
            end(bound[0] if bound else 0)
    return Sample("", rows, "recipients", seconds, spent, peak)
