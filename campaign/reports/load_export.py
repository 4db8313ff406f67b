"""A load run for other programs: one JSON object, or its time series as CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from typing import Any, TextIO

from campaign.reports.load_sheet import ComparisonSheet, LoadSheet, Point
from campaign.reports.rows import ledger_time

_COUNTED = (
    "due", "taken", "answered", "failed", "dropped", "late", "in_flight", "waiting", "queue",
)  # fmt: skip
_QUANTILES = {"p50_ms": "p50", "p95_ms": "p95", "p99_ms": "p99", "max_ms": "most"}


def write_load_json(sheet: LoadSheet, out: TextIO) -> None:
    """The summary as `load run --json` prints it."""
    json.dump(sheet.summary, out, ensure_ascii=False, indent=2)
    out.write("\n")


def write_load_csv(sheet: LoadSheet, out: TextIO) -> int:
    """One line a second; open `out` with newline="". Returns how many.

    The columns depend only on what was measured; a second in which no such latency ended has
    empty cells, and so has a queue that nobody asked for.
    """
    clocks = [line.clock for line in sheet.latencies]
    writer = csv.writer(out)
    quantiles = [f"{clock}_{column}" for clock in clocks for column in _QUANTILES]
    writer.writerow(["second", *_COUNTED, *quantiles])
    for point in sheet.seconds:
        counted = (getattr(point, name) for name in _COUNTED)
        writer.writerow([point.start, *counted, *_latencies(point, clocks)])
    return len(sheet.seconds)


def _latencies(point: Point, clocks: Sequence[str]) -> list[float | None]:
    cells: list[float | None] = []
    for clock in clocks:
        found = point.clocks.get(clock)
        cells += [None if found is None else getattr(found, name) for name in _QUANTILES.values()]
    return cells


def comparison_json(sheet: ComparisonSheet) -> dict[str, Any]:
    """Runs side by side; values as a report shows them, `better` null where there is no
    difference."""
    letters = [letter for letter, *_ in sheet.runs]
    return {
        "runs": [
            {"run": letter, "target": title, "shape": load, "started_at": ledger_time(started)}
            for letter, title, load, started in sheet.runs
        ],
        "remarks": list(sheet.remarks),
        "figures": [
            {
                "what": line.what,
                "values": dict(zip(letters, line.values, strict=True)),
                "against_first": {
                    letter: {"finding": said, "change": change, "better": better}
                    for letter, said, change, better in zip(
                        letters[1:], line.said, line.change, line.better, strict=True
                    )
                },
            }
            for line in sheet.lines
        ],
    }
