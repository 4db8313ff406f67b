"""A run's summary: the keys that scripts and thresholds rely on, and figures that add up."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from campaign.load.histogram import Histogram
from campaign.load.outcome import CLOCKS, FIGURES, Delays, Moment, errors_of
from campaign.load.tally import Second, Tally
from campaign.load.thresholds import Threshold
from campaign.load.wire import ErrorKind
from tests.load.outcomes import made

PROMISED = {
    "offered_per_second", "achieved_per_second", "requests", "errors", "dropped", "late",
    "latency_ms", "cpu_seconds", "thresholds", "valid",
}  # fmt: skip


def test_the_summary_has_every_promised_key_and_is_json() -> None:
    summary = made(seconds=3, rate=50).summary()
    assert summary.keys() >= PROMISED
    assert summary["latency_ms"].keys() == {"accept", "accept_uncorrected", "lateness", "report"}
    assert all(set(found) == set(FIGURES) for found in summary["latency_ms"].values())
    assert json.loads(json.dumps(summary)) == summary


def test_a_clock_that_measured_nothing_is_absent_and_every_clock_has_a_meaning() -> None:
    clocks = made(seconds=2, rate=20, report_ms=None).clocks
    assert list(clocks) == ["accept", "accept_uncorrected", "lateness"]
    assert set(clocks) < set(CLOCKS)


def test_a_second_is_kept_without_loss() -> None:
    tally = Tally(due=3, taken=3, answered=2, late=1)
    tally.errors[ErrorKind.RESET] = 1
    tally.accept.record_many([900, 1500])
    reports = Histogram()
    reports.record(2_000_000)
    moment = Moment.of(Second(4, tally, in_flight=2, waiting=1), {"report": reports})
    assert (moment.nth, moment.due, moment.failed, moment.in_flight) == (4, 3, 1, 2)
    assert {name: kept.histogram() for name, kept in moment.clocks.items()} == {
        "accept": tally.accept,
        "report": reports,
    }
    assert moment.clocks["accept"] == Delays(tally.accept.to_bytes(), 2, 900, 1500, 1500, 1500)


def test_errors_are_failures_by_kind_and_answers_that_are_no_success() -> None:
    tally = Tally()
    tally.errors.update({ErrorKind.TIMEOUT: 2, ErrorKind.CUT: 0})
    tally.statuses.update({200: 90, 204: 1, 302: 1, 500: 4})
    assert errors_of(tally) == {"timeout": 2, "http_302": 1, "http_500": 4}


def test_the_rate_achieved_ends_with_the_last_answer() -> None:
    outcome = made(seconds=10, rate=100)
    hung = replace(outcome, seconds=40.0)
    assert outcome.achieved_per_second == pytest.approx(100)
    assert hung.achieved_per_second == pytest.approx(100)
    assert outcome.offered_per_second == 100


def test_nobody_offered_anything_in_the_closed_model() -> None:
    summary = made(seconds=2, rate=20, planned=None).summary()
    assert (summary["model"], summary["offered_per_second"]) == ("closed", None)


def test_thresholds_are_judged_by_the_summary() -> None:
    outcome = made(seconds=3, rate=50, errors={ErrorKind.TIMEOUT: 3})
    texts = ("accept_p99>500ms", "errors>1%", "report_p95>10s", "unreported>0", "receipt_p95>1s")
    judged = outcome.judged([Threshold.parse(text) for text in texts])
    assert [one.broken for one in judged.thresholds] == [False, True, False, True, True]
    assert judged.broken
    assert not outcome.broken
    assert judged.summary()["thresholds"][1] == {
        "threshold": "errors>1%", "measured": 2.0, "unit": "%", "broken": True,
    }  # fmt: skip
