"""Thresholds of a load run: what holds, what breaks, and what is no threshold at all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.errors import UsageError
from campaign.load.thresholds import CLOCKS, COUNTS, FIGURES, Threshold, Verdict

SUMMARY: dict[str, Any] = {
    "requests": 990,
    "errors": {"refused": 6, "timeout": 4},
    "dropped": 10,
    "late": 20,
    "accepted": 500,
    "unreported": 5,
    "latency_ms": {
        "accept": {
            "p50": 4.0,
            "p90": 8.5,
            "p95": 12.0,
            "p99": 500.0,
            "p999": 900.25,
            "max": 1000.0,
        },
        "report": {"p50": 1000.0, "p90": 1000.0, "p95": 6000.0, "p99": 9000.0, "max": 9999.0},
        "receipt": None,
    },
}


@pytest.mark.parametrize(
    ("text", "measured", "unit", "broken"),
    [
        ("accept_p99>500ms", 500, "ms", False),
        ("accept_p99>=500ms", 500, "ms", True),
        ("accept_p99 > 499.9 ms", 500, "ms", True),
        ("accept_p999>0.9s", 900.25, "ms", True),
        ("accept_p50<4000us", 4, "ms", False),
        ("accept_max<=1s", 1000, "ms", True),
        ("report_p95>0.1m", 6000, "ms", False),
        ("report_max<1h", 9999, "ms", True),
        ("errors>10", 10, "", False),
        ("errors>=10", 10, "", True),
        ("errors>0.9%", 1, "%", True),  # of 1,000 that were meant to be sent
        ("dropped==10", 10, "", True),
        ("dropped>1%", 1, "%", False),
        ("late>1.9%", 2, "%", True),
        ("unreported>0", 5, "", True),
        ("unreported>1%", 1, "%", False),  # of 500 accepted messages
    ],
)
def test_a_threshold_is_judged(text: str, measured: float, unit: str, broken: bool) -> None:
    verdict = Threshold.parse(text).judge(SUMMARY)
    assert (verdict.threshold, verdict.unit, verdict.broken) == (text, unit, broken)
    assert verdict.measured == pytest.approx(measured)


@pytest.mark.parametrize("text", ["receipt_p95>1h", "receipt_p95<1h", "report_p999>1h"])
def test_what_was_never_measured_breaks_a_threshold(text: str) -> None:
    assert Threshold.parse(text).judge(SUMMARY) == Verdict(text, None, "ms", True)


def test_what_was_never_counted_breaks_a_threshold() -> None:
    without = {key: value for key, value in SUMMARY.items() if key != "unreported"}
    assert Threshold.parse("unreported>0").judge(without) == Verdict("unreported>0", None, "", True)


def test_of_nothing_sent_nothing_is_a_share() -> None:
    idle = SUMMARY | {"requests": 0, "errors": {}, "dropped": 0, "late": 0}
    assert not Threshold.parse("errors>0%").judge(idle).broken


@given(
    st.sampled_from([f"{clock}_{figure}" for clock in CLOCKS for figure in FIGURES]),
    st.sampled_from([">", ">=", "<", "<="]),
    st.integers(0, 10**6),
    st.sampled_from(["us", "ms", "s", "m", "h"]),
)
def test_every_latency_takes_every_unit_and_no_share(
    metric: str, compare: str, number: int, unit: str
) -> None:
    threshold = Threshold.parse(f" {metric}{compare} {number}{unit} ")
    assert (threshold.metric, threshold.compare, threshold.unit) == (metric, compare, "ms")
    for nonsense in (f"{metric}{compare}{number}%", f"{metric}{compare}{number}"):
        with pytest.raises(UsageError, match="give it a unit"):
            Threshold.parse(nonsense)


@pytest.mark.parametrize("metric", COUNTS)
@pytest.mark.parametrize(
    ("rest", "says"),
    [
        (">5ms", "is a count"),
        (">5x", "is a count"),
        (">-5", "from 0 up"),
        (">-1%", "from 0 up"),
        (f">{'9' * 400}", "from 0 up"),
        (">100.5%", "at most 100%"),
        ("_p99>5ms", "metrics are errors, dropped"),
        (">", "write METRIC OP NUMBER"),
        ("=5", "write METRIC OP NUMBER"),
        ("!=5", "write METRIC OP NUMBER"),
        ("5", "write METRIC OP NUMBER"),
        (">5>5", "write METRIC OP NUMBER"),
        (">1e3", "write METRIC OP NUMBER"),
    ],
)
def test_nonsense_about_a_count_is_refused(metric: str, rest: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Threshold.parse(metric + rest)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "write METRIC OP NUMBER"),
        ("accept_p99", "write METRIC OP NUMBER"),
        ("500ms<accept_p99", "write METRIC OP NUMBER"),
        ("accept_p98>5ms", "accept_, report_, receipt_ followed by p50"),
        ("accept>5ms", "metrics are"),
        ("connect_p99>5ms", "metrics are"),
        ("accept_p99>-5ms", "from 0 up"),
        ("accept_p99>5d", "give it a unit"),
        ("accept_p99==5ms", "compare with > or <"),
    ],
)
def test_nonsense_about_a_latency_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Threshold.parse(text)


def test_the_error_names_the_option() -> None:
    with pytest.raises(UsageError, match=r"^--stop-if 'x>1': metrics are"):
        Threshold.parse("x>1", option="--stop-if")
