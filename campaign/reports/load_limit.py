"""What a search for a limit found, as plain lines: the limit first, then the curve it was read
from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from campaign.reports.cells import terminal_text
from campaign.reports.columns import aligned
from campaign.reports.load_sheet import in_ms, rate

_WIDEST: Final = 24
_CAUSES: Final = {
    "accept": "answers are too slow",
    "report": "reports are too late, or none comes",
    "queue": "the device's queue grows",
    "errors": "requests fail",
    "generator": "the generator itself could not send more",
}


def limit_lines(summary: Mapping[str, Any]) -> list[str]:
    """The lines of a `limit.Limit.summary()`."""
    lines = [_verdict(summary), *_why(summary)]
    lines += ["", f"target    {summary['target']}", f"workload  {summary['workload']}"]
    lines += [f"search    {summary['steps']} loads in {summary['seconds']:,.0f} s"]
    if summary["curve"]:
        lines += ["", *_curve(summary)]
    return [terminal_text(line) for line in lines]


def step_line(point: Mapping[str, Any]) -> str:
    """One rate that was tried, as it is told while the search goes on."""
    cells = dict(
        zip(("rate", "state", "accept", "report", "queue", "errors"), _cells(point), strict=True)
    )
    return (
        f"{cells['rate']}: {cells['state']}  accept p99 {cells['accept']}"
        f"  report p95 {cells['report']}  queue {cells['queue']}  errors {cells['errors']}"
    )


def _verdict(summary: Mapping[str, Any]) -> str:
    found, ceiling = summary["limit_per_second"], summary["ceiling_per_second"]
    if not summary["curve"]:
        return "no rate was tried"
    if not found:
        return f"no limit: not even {_exact(ceiling)} stays bounded"
    at_least = "" if summary["exact"] else "at least "
    messages = summary["messages_per_second"]
    beside = "" if messages == found or not messages else f" ({_exact(messages)} messages)"
    return f"limit: {at_least}{_exact(found)} requests{beside} stay bounded"


def _why(summary: Mapping[str, Any]) -> list[str]:
    lines = []
    if (ceiling := summary["ceiling_per_second"]) is not None:
        lines.append(f"at {_exact(ceiling)} {_CAUSES[summary['cause']]}")
    if summary["cause"] == "generator":
        lines.append("INVALID as a limit of the target: it may take more than that")
    if summary["ended_early"]:
        lines.append(f"the search ended early: {summary['ended_early']}")
    elif not summary["exact"] and summary["limit_per_second"]:
        lines.append("the search ended before the limit was as exact as asked")
    return lines


def _curve(summary: Mapping[str, Any]) -> list[str]:
    head = ["rate", "", "accept p99", "report p95", "queue growth", "errors", "looks", ""]
    most = max(point["rate"] for point in summary["curve"])
    rows = [
        [
            *_cells(point),
            str(point["looks"]),
            "#" * max(1, round(_WIDEST * point["rate"] / most)),
        ]
        for point in summary["curve"]
    ]
    return aligned([head, *rows], "rlrrrrrl")


def _cells(point: Mapping[str, Any]) -> list[str]:
    growth = point["queue_growth"]
    return [
        _exact(point["rate"]),
        _state(point),
        _latency(point["accept_p99_ms"]),
        _latency(point["report_p95_ms"]),
        "-" if growth is None else f"{growth:.1%}",
        f"{point['errors']:.1%}",
    ]


def _state(point: Mapping[str, Any]) -> str:
    if point["bounded"]:
        return "bounded"
    return "INVALID" if point["cause"] == "generator" else f"not: {point['cause']}"


def _latency(ms: float | None) -> str:
    return "-" if ms is None else in_ms(ms)


def _exact(per_second: float) -> str:
    """All four digits that a search tries."""
    return rate(per_second) if per_second >= 1000 else f"{per_second:g}/s"
