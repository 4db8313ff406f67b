"""A limit that was found, as lines."""

from __future__ import annotations

from typing import Any

from campaign.reports.load_limit import limit_lines, step_line


def point(rate: float, **more: Any) -> dict[str, Any]:
    figures = {
        "rate": rate, "bounded": True, "cause": "queue", "accept_p99_ms": 12.345,
        "report_p95_ms": 1200.0, "queue_growth": 0.004, "errors": 0.0, "valid": True, "looks": 1,
    }  # fmt: skip
    return {**figures, **more}


def summary(**more: Any) -> dict[str, Any]:
    figures = {
        "target": "http://\x1b[31mdevice", "workload": "1 task", "limit_per_second": 40.0,
        "messages_per_second": 80.0, "ceiling_per_second": 41.2, "cause": "queue", "exact": True,
        "ended_early": None, "steps": 3, "seconds": 75.0,
        "curve": [point(40.0), point(41.2, bounded=False, looks=3, queue_growth=None)],
    }  # fmt: skip
    return {**figures, **more}


def test_the_limit_stands_first_and_the_curve_below() -> None:
    lines = limit_lines(summary())
    assert lines[0] == "limit: 40/s requests (80/s messages) stay bounded"
    assert lines[1] == "at 41.2/s the device's queue grows"
    assert lines[3].startswith("target    http://\\x1b[31mdevice")
    assert lines[-2].split() == [
        "40/s", "bounded", "12.3", "ms", "1.20", "s", "0.4%", "0.0%", "1", "#" * 23,
    ]  # fmt: skip
    assert lines[-1].split()[:3] == ["41.2/s", "not:", "queue"]


def test_a_limit_of_the_generator_is_marked_as_none_of_the_target() -> None:
    lines = limit_lines(
        summary(
            cause="generator",
            exact=False,
            curve=[point(40.0), point(41.2, bounded=False, cause="generator", valid=False)],
        )
    )
    assert lines[0].startswith("limit: at least 40/s")
    assert "INVALID as a limit of the target: it may take more than that" in lines
    assert lines[-1].split()[1] == "INVALID"


def test_a_search_without_a_limit_says_so() -> None:
    none = limit_lines(summary(limit_per_second=0.0, ceiling_per_second=0.01))
    assert none[0] == "no limit: not even 0.01/s stays bounded"
    untried = limit_lines(summary(curve=[], limit_per_second=0.0, ended_early="interrupted"))
    assert untried[0] == "no rate was tried"
    assert "the search ended early: interrupted" in untried


def test_a_rate_is_told_in_one_line_while_the_search_goes_on() -> None:
    assert step_line(point(40.0)) == (
        "40/s: bounded  accept p99 12.3 ms  report p95 1.20 s  queue 0.4%  errors 0.0%"
    )
