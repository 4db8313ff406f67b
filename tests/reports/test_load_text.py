"""A load run on a terminal: what broke first, then figures; and one line a second while it runs."""

from __future__ import annotations

import pytest

from campaign.reports.load_sheet import ComparedLine, ComparisonSheet, in_ms, rate
from campaign.reports.load_text import comparison_lines, live_line, load_lines
from tests.reports.sheets import point, sheet


def test_thresholds_stand_first_each_with_what_was_measured() -> None:
    lines = load_lines(sheet())
    assert lines[:5] == [
        "2 of 3 thresholds broke",
        "  BROKEN  accept_p99>500ms          613 ms",
        "  held    errors>1%                 0.25 %",
        "  BROKEN  receipt_p95>10s   never measured",
        "",
    ]


def test_an_invalid_run_says_so_before_anything_else() -> None:
    lines = load_lines(sheet(invalid=["worker 1: the machine is busy"]))
    assert lines[0].startswith("INVALID: the generator was the bottleneck")
    assert lines[1] == "  worker 1: the machine is busy"


def test_every_figure_is_told_and_sums_can_be_checked() -> None:
    text = "\n".join(load_lines(sheet()))
    for words in (
        "achieved 499/s of 500/s offered",
        "requests 6,000 = 5,985 answered + 15 without an answer",
        "errors: 15 timeout",
        "dropped 2, never sent; late 31, sent more than 10 ms late",
        "messages: 5,985 accepted, 5,980 reported, 5 unreported",
        "device queue: at most 41 tasks",
        "accept  4.10 ms  6.40 ms  7.20 ms  613 ms  980 ms  1.00 s",
    ):
        assert words in text
    assert "closed model" not in text


def test_the_closed_model_is_named_beside_the_latencies() -> None:
    text = "\n".join(load_lines(sheet(model="closed", offered_per_second=None)))
    assert "closed model: while the target stalls nothing is sent" in text
    assert "offered" not in text


def test_a_run_without_thresholds_and_answers_is_told_too() -> None:
    lines = load_lines(sheet(thresholds=[], latencies=[], account={}, errors={}))
    assert lines[0].startswith("target")
    assert "no answer came: there is no latency" in lines


def test_what_a_target_says_cannot_move_the_cursor() -> None:
    assert all(line.isprintable() for line in load_lines(sheet(title="evil\x1b[2J\r\nname")))


@pytest.mark.parametrize(
    ("nth", "line"),
    [
        (0, "1s  500/s of 500/s  p99 8.00 ms  in flight 3  waiting 0  device queue 30"),
        (
            6,
            "7s  485/s of 500/s  p99 1.20 s  in flight 3  waiting 7  device queue 36  errors 15",
        ),
    ],
)
def test_a_second_of_a_running_load_is_one_line(nth: int, line: str) -> None:
    assert live_line(point(nth), nth + 1) == line


def test_runs_stand_side_by_side_with_what_may_be_concluded() -> None:
    lines = comparison_lines(
        ComparisonSheet(
            [("A", "a:1", "5/s for 9s", 0), ("B", "b:1", "5/s for 9s", 60_000)],
            [
                ComparedLine("accept p50", ["4.0 ms", "5.0 ms"], ["slower"], ["+25.0 %"], [False]),
                ComparedLine("receipt p50", ["1.0 s", "-"], ["too little to tell"], [""], [None]),
            ],
            ["not the same target: A a:1; B b:1"],
        )
    )
    assert lines[:8] == [
        "A  a:1  5/s for 9s  1970-01-01T00:00:00Z",
        "B  b:1  5/s for 9s  1970-01-01T00:01:00Z",
        "",
        "! not the same target: A a:1; B b:1",
        "",
        "                  A       B  B against A",
        "accept p50   4.0 ms  5.0 ms  slower  +25.0 %",
        "receipt p50   1.0 s       -  too little to tell",
    ]


@pytest.mark.parametrize(
    ("ms", "words"),
    [(0.0421, "0.04 ms"), (4.125, "4.12 ms"), (45.67, "45.7 ms"), (612.4, "612 ms"),
     (1500.0, "1.50 s"), (75_300.0, "75.3 s"), (3_600_000.0, "3,600 s")],
)  # fmt: skip
def test_latencies_are_told_with_the_digits_that_count(ms: float, words: str) -> None:
    assert in_ms(ms) == words


def test_slow_rates_keep_a_decimal() -> None:
    assert [rate(one) for one in (0.5, 20, 99.95, 1234.5)] == [
        "0.5/s",
        "20/s",
        "100.0/s",
        "1,234/s",
    ]
