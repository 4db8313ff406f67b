"""Delivery reports of a campaign that was sent to everybody."""

from __future__ import annotations

from scripts.measure.child import clean_environment, ours, spent_by
from scripts.measure.figure import Sample, Scale
from scripts.measure.prepared import copied, sent_ledger


def measure(fmt: str, scale: Scale) -> Sample:
    """Write it once. RuntimeError if it failed or is no report."""
    with copied(sent_ledger(scale.rows)) as folder:
        out = folder / f"report.{fmt}"
        command = ours("--db", str(folder / "campaign.db"), "report", "bench", "-o", str(out))
        spent = spent_by(command, clean_environment(folder), folder / "log")
        megabytes = out.stat().st_size / 1e6
    return Sample(
        f"report, {fmt.upper()}", scale.rows, "rows", spent.seconds, spent.cpu_seconds,
        spent.rss_mb, notes={"megabytes": megabytes},
    )  # fmt: skip
