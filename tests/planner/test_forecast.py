"""When sending would end: ports, paces, rates and the window, each where it is the slowest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.planner.durations import Interval, Rate
from campaign.planner.forecast import (
    Forecast,
    Pacing,
    Workload,
    deal,
    forecast,
    task_count,
)
from campaign.planner.windows import Window

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)  # a Monday
FREE = Pacing()


def seconds(found: Forecast) -> tuple[float, float, float]:
    assert found.earliest is not None
    assert found.expected is not None
    assert found.latest is not None
    return (
        (found.earliest - NOW).total_seconds(),
        (found.expected - NOW).total_seconds(),
        (found.latest - NOW).total_seconds(),
    )


@pytest.mark.parametrize(
    ("work", "pacing", "expected"),
    [
        pytest.param(Workload(80, 80, 8), FREE, (40, 60, 100), id="ten messages on each port"),
        pytest.param(Workload(81, 81, 8), FREE, (44, 66, 110), id="one port has one more"),
        pytest.param(Workload(80, 160, 8), FREE, (80, 120, 200), id="two parts take twice as long"),
        pytest.param(
            Workload(80, 80, 8),
            Pacing(rate=Rate.parse("1/s")),
            (83, 85, 100),
            id="the rate, unless the SIMs are slower",
        ),
        pytest.param(
            Workload(80, 80, 8),
            Pacing(per_port=Rate.parse("6/min")),
            (94, 96, 100),
            id="six a minute on a port: nine gaps of ten seconds, and the last message",
        ),
        pytest.param(
            Workload(80, 80, 8),
            Pacing(interval=Interval.parse("8s-20s")),
            (76, 132, 190),
            id="the interval's low, middle and high end",
        ),
        pytest.param(Workload(0, 0, 8), FREE, (0, 0, 0), id="nobody to send to"),
    ],
)
def test_the_slowest_limit_decides(
    work: Workload, pacing: Pacing, expected: tuple[float, float, float]
) -> None:
    assert seconds(forecast(NOW, work, pacing)) == expected


def test_without_a_port_it_is_never_done() -> None:
    assert forecast(NOW, Workload(1, 1, 0), FREE) == Forecast(None, None, None)


def test_more_than_ten_years_is_never() -> None:
    pacing = Pacing(rate=Rate.parse("1/d"))
    assert forecast(NOW, Workload(10**7, 10**7, 8), pacing) == Forecast(None, None, None)


def test_sending_goes_on_when_the_window_opens_again() -> None:
    window = Window.parse("09:00-11:00", days="mon-fri")
    work = Workload(3600, 3600, 4)  # 900 on each port: 3600, 5400 and 9000 s of open window
    found = forecast(NOW, work, Pacing(window=window))
    assert found.earliest == datetime(2026, 3, 2, 11, 0, tzinfo=UTC)  # exactly to its end
    assert found.expected == datetime(2026, 3, 3, 9, 30, tzinfo=UTC)
    assert found.latest == datetime(2026, 3, 3, 10, 30, tzinfo=UTC)


def test_a_closed_window_is_waited_for_over_the_weekend() -> None:
    window = Window.parse("09:00-11:00", days="mon-fri")
    friday_evening = datetime(2026, 3, 6, 20, 0, tzinfo=UTC)
    found = forecast(friday_evening, Workload(1, 1, 1), Pacing(window=window))
    assert found.expected == datetime(2026, 3, 9, 9, 0, 6, tzinfo=UTC)


def test_a_window_too_small_for_ten_years_is_never() -> None:
    window = Window.parse("09:00-09:01", days="mon")
    assert forecast(NOW, Workload(10**6, 10**6, 1), Pacing(window=window)).latest is None


@given(st.integers(0, 10**6), st.integers(1, 64))
def test_dealing_loses_nobody_and_is_fair(messages: int, ports: int) -> None:
    dealt = deal(messages, ports)
    assert sum(dealt) == messages
    assert max(dealt) - min(dealt) <= 1


@pytest.mark.parametrize(
    ("same_text", "ports", "size", "tasks"),
    [
        (0, 8, 20, 0),
        (1, 8, 20, 1),
        (8, 8, 20, 8),
        (160, 8, 20, 8),
        (161, 8, 20, 9),
        (100, 1, 20, 5),
    ],
)
def test_a_task_names_one_port_and_holds_so_many(
    same_text: int, ports: int, size: int, tasks: int
) -> None:
    assert task_count(same_text, ports, size) == tasks


@given(
    st.integers(1, 10**5),
    st.integers(1, 64),
    st.sampled_from([None, Rate(1.0), Rate(20.0)]),
    st.sampled_from([None, Interval(1.0, 5.0)]),
)
def test_earliest_expected_latest_are_in_order(
    messages: int, ports: int, rate: Rate | None, interval: Interval | None
) -> None:
    pacing = Pacing(rate=rate, interval=interval)
    early, usual, late = seconds(forecast(NOW, Workload(messages, messages, ports), pacing))
    assert timedelta(0) < timedelta(seconds=early)
    assert early <= usual <= late
