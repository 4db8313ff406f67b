"""A load run as a report gets it, made up by hand."""

from __future__ import annotations

from campaign.reports.load_sheet import (
    Distribution,
    LatencyLine,
    LoadSheet,
    Point,
    Quantiles,
    ThresholdLine,
)


def sheet(**changes: object) -> LoadSheet:
    """Twelve seconds at 500/s; a stall in the middle, a broken threshold."""
    points = [point(nth) for nth in range(12)]
    whole: dict[str, object] = {
        "title": "http://127.0.0.1:8080 (simulator)",
        "model": "open",
        "started_ms": 1_772_442_000_000,
        "facts": [("Load", "500/s for 12s"), ("Workload", "1 task a request"), ("Seed", "7")],
        "invalid": [],
        "thresholds": [
            ThresholdLine("accept_p99>500ms", 613.0, "ms", broken=True),
            ThresholdLine("errors>1%", 0.25, "%", broken=False),
            ThresholdLine("receipt_p95>10s", None, "ms", broken=True),
        ],
        "offered_per_second": 500.0,
        "achieved_per_second": 498.8,
        "requests": 6000,
        "answered": 5985,
        "dropped": 2,
        "late": 31,
        "cpu_seconds": 0.5,
        "errors": {"timeout": 15},
        "account": {"accepted": 5985, "reported": 5980, "unreported": 5, "duplicated": 0},
        "latencies": [
            LatencyLine("accept", "to the answer", 5985, (4.1, 6.4, 7.2, 613.0, 980.0, 1002.0)),
            LatencyLine("report", "to the report", 5980, (11e2, 17e2, 18e2, 19e2, 2e3, 2e3)),
        ],
        "distributions": [Distribution("accept", [(1.0, 10.0, 5900), (10.0, 100.0, 0),
                                                  (100.0, 1000.0, 85)])],
        "points": points,
        "seconds": points,
        "summary": {"queue_max": 41, "valid": True},
    }  # fmt: skip
    return LoadSheet(**{**whole, **changes})  # type: ignore[arg-type]  # checked by its tests


def point(nth: int) -> Point:
    ms = 600.0 if nth == 6 else 4.0 + nth / 10
    return Point(
        nth, 1, 500, 500, 485 if nth == 6 else 500, 15 if nth == 6 else 0, 2 if nth == 11 else 0,
        0, 3, 7 if nth == 6 else 0, 30 + nth,
        {"accept": Quantiles(ms, ms * 1.5, ms * 2, ms * 3)},
    )  # fmt: skip
