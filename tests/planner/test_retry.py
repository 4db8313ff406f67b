"""Failures are judged by what they prove; only a proved one is tried again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.planner.retry import (
    Failure,
    FailureKind,
    Final,
    Retry,
    after_failure,
    judge_failure,
)


@pytest.mark.parametrize(
    ("program", "network", "kind", "code"),
    [
        pytest.param(7, None, FailureKind.TRANSIENT, 7, id="no-cause"),
        pytest.param(7, 42, FailureKind.TRANSIENT, 42, id="congestion"),
        pytest.param(7, 1, FailureKind.PERMANENT, 1, id="unassigned-number"),
        pytest.param(7, 28, FailureKind.PERMANENT, 28, id="unidentified-subscriber"),
        pytest.param(7, 99999, FailureKind.TRANSIENT, 99999, id="cause-of-no-table"),
        pytest.param(2, None, FailureKind.PORT, 2, id="port"),
        pytest.param(5, 42, FailureKind.PORT, 5, id="port-with-cause"),
        pytest.param(10, None, FailureKind.PORT, 10, id="busy"),
        pytest.param(6, None, FailureKind.UNPROVED, 6, id="timeout"),
        pytest.param(6, 1, FailureKind.UNPROVED, 6, id="timeout-with-cause"),
        pytest.param(99, None, FailureKind.UNPROVED, 99, id="code-of-no-table"),
        pytest.param(None, None, FailureKind.UNPROVED, None, id="no-code"),
        pytest.param(None, 1, FailureKind.UNPROVED, None, id="cause-alone"),
    ],
)
def test_a_failure_proves_what_its_codes_say(
    program: int | None, network: int | None, kind: FailureKind, code: int | None
) -> None:
    failure = judge_failure(program, "", network, "")
    assert (failure.kind, failure.code) == (kind, code)
    assert failure.reason


@given(st.integers() | st.none(), st.text(), st.integers() | st.none(), st.text())
def test_nothing_is_proved_by_any_other_code(
    program: int | None, words: str, network: int | None, network_words: str
) -> None:
    proved = judge_failure(program, words, network, network_words).kind
    assert (proved is not FailureKind.UNPROVED) == (program in (2, 5, 7, 10))


def test_the_tables_words_come_before_the_devices_own() -> None:
    assert judge_failure(7, "", 1, "1 whatever").reason == judge_failure(7, "", 1, "").reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("9999 Out of beans", "Out of beans"),
        ("9999: no credit", "no credit"),
        ("9999", "cause 9999"),
        ("", "cause 9999"),
    ],
)
def test_the_devices_own_words_are_told_where_the_table_has_none(text: str, reason: str) -> None:
    assert judge_failure(7, "", 9999, text).reason == reason


def failed(kind: FailureKind) -> Failure:
    return Failure(kind, 7, "why")


def test_waits_double_and_the_budget_ends_it() -> None:
    steps = [after_failure(failed(FailureKind.TRANSIENT), n, 4, 10.0) for n in (1, 2, 3, 4)]
    assert [step.wait if isinstance(step, Retry) else None for step in steps] == [10, 20, 40, None]
    assert steps[-1] == Final("4 of 4 attempts used")


def test_a_permanent_cause_is_final_at_once() -> None:
    assert isinstance(after_failure(failed(FailureKind.PERMANENT), 1, 9, 10.0), Final)


def test_a_port_that_cannot_send_costs_an_attempt_but_no_wait() -> None:
    assert after_failure(failed(FailureKind.PORT), 1, 2, 10.0) == Retry(
        0.0, "proved failure 1 of 2: why"
    )
    assert isinstance(after_failure(failed(FailureKind.PORT), 2, 2, 10.0), Final)


def test_without_retries_the_first_failure_is_final() -> None:
    assert isinstance(after_failure(failed(FailureKind.TRANSIENT), 1, 1, 10.0), Final)
