"""Delivery reports of a campaign that was sent to everybody."""

from __future__ import annotations

from scripts.measure.child import spent_by
from scripts.measure.figure import Sample, Scale
from scripts.measure.prepared import copied, sent_ledger
from scripts.measure.processes import command, environment


def measure(fmt: str, scale: Scale) -> Sample:
    """Write it once. RuntimeError if it failed or is no report."""
    with copied(sent_ledger(scale.rows)) as folder:
        out = folder / f"report.{fmt}"
        writing = command("--db", str(folder / "campaign.db"), "report", "bench", "-o", str(out))
        spent = spent_by(writing, environment(folder), folder / "log")
        megabytes = out.stat().st_size / 1e6
    return Sample(
        f"report, {fmt.upper()}", scale.rows, "rows", spent.seconds, spent.cpu_seconds,
        spent.rss_mb, notes={"megabytes": megabytes},
    )  # fmt: skip
