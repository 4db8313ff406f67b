"""When sending would end: the planner run ahead, with every limit where it is the slowest."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign.planner.durations import Interval, Rate
from campaign.planner.forecast import Forecast, deal, forecast, forecast_steps, task_count
from campaign.planner.lanes import Hours
from campaign.planner.quotas import Amounts, Caps, Usage
from campaign.planner.windows import Window
from campaign.planner.workload import Conditions, Demand, Group, PlannedSim, measured

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)  # a Monday
MORNING = Window.parse("09:00-11:00", days="mon-fri")


def sims(count: int, gateway: str = "office", **facts: object) -> list[PlannedSim]:
    return [PlannedSim(gateway, port, **facts) for port in range(1, count + 1)]  # type: ignore[arg-type]  # a test's own facts


def demand(messages: int, parts: int = 1, *, rate: str | None = None, **group: object) -> Demand:
    gap = Rate.parse(rate).gap if rate else 0.0
    return Demand((Group(messages, parts, **group),), gap=gap)  # type: ignore[arg-type]  # a test's own facts


def seconds(found: Forecast) -> tuple[float, float, float]:
    assert found.earliest is not None
    assert found.expected is not None
    assert found.latest is not None
    return (
        (found.earliest - NOW).total_seconds(),
        (found.expected - NOW).total_seconds(),
        (found.latest - NOW).total_seconds(),
    )


def gaps(text: str) -> tuple[float, float, float]:
    low, middle, high = (Interval.parse(text).pick(draw) for draw in (0.0, 0.5, 1.0))
    return low, middle, high


@pytest.mark.parametrize(
    ("work", "ports", "expected"),
    [
        pytest.param(demand(80), sims(8), (40, 60, 100), id="ten messages on each port"),
        pytest.param(demand(81), sims(8), (44, 66, 110), id="one port has one more"),
        pytest.param(demand(80, 2), sims(8), (80, 120, 200), id="two parts take twice as long"),
        pytest.param(
            demand(80, rate="1/s"),
            sims(8),
            (83, 85, 100),
            id="the rate, unless the SIMs are slower",
        ),
        pytest.param(
            demand(80),
            sims(8, gaps=(10.0, 10.0, 10.0)),
            (94, 96, 100),
            id="six a minute on a port: nine gaps of ten seconds, and the last message",
        ),
        pytest.param(
            demand(80),
            sims(8, gaps=gaps("8s-20s")),
            (76, 132, 190),
            id="the interval's low, middle and high end",
        ),
        pytest.param(
            demand(80, 2),
            sims(8, part_gap=10.0),
            (188, 192, 200),
            id="six segments a minute on a port: nine gaps of twenty seconds, and the last one",
        ),
        pytest.param(demand(0), sims(8), (0, 0, 0), id="nobody to send to"),
        pytest.param(demand(60), sims(1, seconds=measured(2.0)), (102, 120, 156), id="measured"),
    ],
)
def test_the_slowest_limit_decides(
    work: Demand, ports: list[PlannedSim], expected: tuple[float, float, float]
) -> None:
    assert seconds(forecast(NOW, work, ports)) == pytest.approx(expected)


def test_a_gateway_s_own_rate_is_that_of_all_its_ports() -> None:
    conditions = Conditions(gateway_gaps={"office": 2.0}, gateway_part_gaps={"office": 1.5})
    found = forecast(NOW, demand(100, 2), sims(8), conditions)
    assert seconds(found)[1] == pytest.approx(99 * 3.0 + 12, rel=0.03)


def test_a_rate_of_segments_counts_parts() -> None:
    found = forecast(NOW, Demand((Group(50, 3),), part_gap=1.0), sims(64))
    assert seconds(found)[1] == pytest.approx(49 * 3 + 18)


def test_without_a_port_it_is_never_done() -> None:
    found = forecast(NOW, demand(1), [])
    assert (found.earliest, found.expected, found.latest) == (None, None, None)


def test_who_may_go_to_no_port_is_never_sent_to() -> None:
    work = Demand((Group(1, route="@Nobody"), Group(2, parts=2, route="@Nobody")))
    found = forecast(NOW, work, sims(8, operator="CMCC"))
    assert (found.expected, found.unserved) == (None, (("@Nobody", 3),))


def test_who_may_go_to_no_port_is_named_and_holds_up_nobody_else() -> None:
    work = Demand((Group(10), Group(1, route="@Nobody")))
    found = forecast(NOW, work, sims(8, operator="CMCC"))
    assert found.unserved == (("@Nobody", 1),)
    assert replace(found, unserved=()) == forecast(NOW, demand(10), sims(8, operator="CMCC"))


@pytest.mark.parametrize("messages", [10**4, 10**7])
def test_more_than_ten_years_is_never(messages: int) -> None:
    found = forecast(NOW, demand(messages, rate="1/d"), sims(8))
    assert (found.earliest, found.expected, found.latest) == (None, None, None)


def test_sending_goes_on_when_the_window_opens_again() -> None:
    # 900 on each port: 3600, 5400 and 9000 s of open window
    found = forecast(NOW, demand(3600, hours=Hours((MORNING,))), sims(4))
    assert found.earliest == datetime(2026, 3, 2, 11, 0, tzinfo=UTC)  # exactly to its end
    assert found.expected == datetime(2026, 3, 3, 9, 30, tzinfo=UTC)
    assert found.latest == datetime(2026, 3, 3, 10, 30, tzinfo=UTC)
    (pause,) = found.pauses
    assert (pause.begins, pause.ends) == (
        datetime(2026, 3, 2, 11, 0, tzinfo=UTC), datetime(2026, 3, 3, 9, 0, tzinfo=UTC),
    )  # fmt: skip
    assert pause.why == "the sending window is closed"


def test_a_closed_window_is_waited_for_over_the_weekend() -> None:
    friday_evening = datetime(2026, 3, 6, 20, 0, tzinfo=UTC)
    found = forecast(friday_evening, demand(1, hours=Hours((MORNING,))), sims(1))
    assert found.expected == datetime(2026, 3, 9, 9, 0, 6, tzinfo=UTC)


def test_a_window_too_small_for_ten_years_is_never() -> None:
    window = Window.parse("09:00-09:01", days="mon")
    assert forecast(NOW, demand(10**6, hours=Hours((window,))), sims(1)).latest is None


def test_dates_to_skip_are_skipped() -> None:
    window = Window.parse("09:00-11:00", skip=["2026-03-03", "2026-03-04"])
    found = forecast(NOW, demand(3600, hours=Hours((window,))), sims(4))
    assert found.expected == datetime(2026, 3, 5, 9, 30, tzinfo=UTC)


def test_recipients_of_each_zone_are_sent_to_in_their_own_hours() -> None:
    tokyo, berlin = (
        Hours((Window.parse("09:00-20:00", timezone=zone),))
        for zone in ("Asia/Tokyo", "Europe/Berlin")
    )
    # at 10:00 UTC it is 19:00 in Tokyo: an hour, shared with Berlin, lets 600 of Tokyo go
    found = forecast(NOW, Demand((Group(1000, hours=tokyo), Group(1000, hours=berlin))), sims(2))
    assert found.expected is not None
    rest = datetime(2026, 3, 3, 0, 20, tzinfo=UTC)
    assert abs(found.expected - rest) < timedelta(seconds=30)
    late = forecast(NOW, Demand((Group(300, hours=tokyo), Group(60, hours=berlin))), sims(2))
    assert late.expected == datetime(2026, 3, 2, 10, 18, tzinfo=UTC)


def test_a_campaign_begins_at_its_start() -> None:
    start = NOW + timedelta(hours=5)
    found = forecast(NOW, demand(80, hours=Hours(start=start)), sims(8))
    assert found.expected == start + timedelta(seconds=60)


def test_at_the_deadline_the_rest_is_given_up() -> None:
    deadline = NOW + timedelta(minutes=10)
    work = demand(1000, hours=Hours(deadline=deadline))
    found = forecast(NOW, work, sims(1), Conditions(deadline=deadline))
    assert (found.expected, found.late) == (deadline, 900)


def test_failures_are_tried_again_and_cost_their_time() -> None:
    found = forecast(NOW, demand(8000), sims(8), Conditions(failures=0.1, attempts=3))
    # 1 + 0.1 + 0.01 messages for everybody, and the last failures wait 10 and 20 s
    assert seconds(found)[1] == pytest.approx(1000 * 6 * 1.11, rel=0.01)
    assert sum(port.messages for port in found.ports) == pytest.approx(8880, abs=3)
    assert sum(port.recipients for port in found.ports) == 8000


def test_a_single_try_is_not_repeated() -> None:
    found = forecast(NOW, demand(80), sims(8), Conditions(failures=0.5, attempts=1))
    assert seconds(found) == pytest.approx((40, 60, 100))


def test_a_daily_quota_stretches_over_days_and_is_told() -> None:
    found = forecast(NOW, demand(2000), sims(8, caps=Caps(Amounts(day=100))))
    assert found.expected == datetime(2026, 3, 4, 0, 5, tzinfo=UTC)
    assert [(p.begins.hour, p.begins.minute, p.ends.hour) for p in found.pauses] == [
        (10, 10, 0),
        (0, 10, 0),
    ]
    assert found.pauses[0].why == "8 ports SIM used up: 100 of 100 segments today"
    port = found.ports[0]
    assert port.quota_out == datetime(2026, 3, 2, 10, 10, tzinfo=UTC)
    assert port.quota_until == datetime(2026, 3, 3, 0, 0, tzinfo=UTC)


def test_what_a_sim_sent_today_counts() -> None:
    usage = Usage(segments=Amounts(0, 90, 90))
    found = forecast(NOW, demand(20), sims(1, caps=Caps(Amounts(day=100)), usage=usage))
    assert found.expected == datetime(2026, 3, 3, 0, 1, tzinfo=UTC)


def test_an_hourly_quota_lets_go_on_in_the_next_hour() -> None:
    found = forecast(NOW, demand(250), sims(1, caps=Caps(Amounts(hour=100))))
    assert found.expected == datetime(2026, 3, 2, 12, 5, tzinfo=UTC)
    assert found.ports[0].quota_out == datetime(2026, 3, 2, 10, 10, tzinfo=UTC)


def test_no_message_is_cut_to_fit_into_a_quota() -> None:
    found = forecast(NOW, demand(10, 3), sims(1, caps=Caps(Amounts(day=10))))
    assert found.expected == datetime(2026, 3, 5, 0, 0, 18, tzinfo=UTC)  # three messages a day


def test_a_quota_of_recipients_holds_beside_that_of_segments() -> None:
    caps = Caps(Amounts(day=100), Amounts(day=10))
    assert forecast(NOW, demand(25), sims(1, caps=caps)).expected == datetime(
        2026, 3, 4, 0, 0, 30, tzinfo=UTC
    )


def test_a_new_sim_warms_up() -> None:
    found = forecast(NOW, demand(200), sims(1, caps=Caps(ramp=(20, 40, 80))))
    assert found.expected == datetime(2026, 3, 5, 0, 6, tzinfo=UTC)  # 20, 40, 80, then 60


def test_routes_keep_messages_to_their_ports() -> None:
    ports = [*sims(2, "cm", operator="China Mobile"), *sims(2, "cu", operator="Unicom")]
    work = Demand((Group(300, route="@mobile"), Group(60, 2, route="cu:2")))
    found = forecast(NOW, work, ports)
    sent = {(port.gateway, port.port): port.messages for port in found.ports}
    assert sent["cm", 1] + sent["cm", 2] == 300
    assert abs(sent["cm", 1] - sent["cm", 2]) <= 2
    assert (sent["cu", 1], sent["cu", 2]) == (0, 60)
    assert seconds(found)[1] == pytest.approx(900, rel=0.02)


@pytest.mark.parametrize(("weight", "part"), [(1, 2.0), (3, 1.333)])
def test_other_campaigns_share_the_ports_by_weight(weight: int, part: float) -> None:
    ours = Demand((Group(4000),), weight=weight)
    found = forecast(NOW, ours, sims(8), others=[demand(10**6)])
    assert seconds(found)[1] == pytest.approx(3000 * part, rel=0.01)


def test_what_another_campaign_cannot_use_is_ours() -> None:
    closed = demand(10**6, hours=Hours((Window.parse("00:00-01:00"),)))
    found = forecast(NOW, demand(4000), sims(8), others=[closed, demand(10**6, rate="6/min")])
    assert seconds(found)[1] == pytest.approx(3000 * (8 / 6) / (8 / 6 - 0.1), rel=0.01)


def test_others_go_on_while_ours_waits_and_nothing_is_late_for_it() -> None:
    found = forecast(NOW, demand(400), sims(8), Conditions(failures=0.1), others=[demand(10**6)])
    assert seconds(found)[1] < 2 * 300 * 1.11 + 120


@pytest.mark.slow
@pytest.mark.parametrize(
    ("messages", "ports", "caps"),
    [
        pytest.param(10**7, 64, Caps(), id="ten million"),
        pytest.param(250_000, 2, Caps(Amounts(hour=30)), id="half a year of hours"),
        pytest.param(10**5, 4, Caps(Amounts(day=50, month=900)), id="years of months"),
    ],
)
def test_neither_millions_nor_months_of_quotas_take_long(
    messages: int, ports: int, caps: Caps
) -> None:
    steps = sum(1 for _ in forecast_steps(NOW, demand(messages), sims(ports, caps=caps)))
    assert steps < 12_000  # of some 100 µs each


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


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(
    st.integers(1, 10**5),
    st.integers(1, 16),
    st.sampled_from([None, "1/s", "20/s"]),
    st.sampled_from([None, "1s-5s"]),
    st.sampled_from([Caps(), Caps(Amounts(day=5000))]),
    st.sampled_from([0.0, 0.07]),
)
def test_nobody_is_lost_and_no_limit_is_outrun(
    messages: int, ports: int, rate: str | None, interval: str | None, caps: Caps, failures: float
) -> None:
    between = gaps(interval) if interval else (0.0, 0.0, 0.0)
    found = forecast(
        NOW, demand(messages, rate=rate), sims(ports, gaps=between, caps=caps),
        Conditions(failures=failures),
    )  # fmt: skip
    early, usual, late = seconds(found)
    assert 0 < early <= usual <= late
    assert sum(port.recipients for port in found.ports) == messages
    sent = sum(port.messages for port in found.ports)
    assert messages <= sent <= messages * (1 + failures + 2 * failures**2) + 1
    # the SIMs' own pace, the rate and the quota bound it from below
    assert usual >= max(6.0, 6 * sent / ports, (sent - 1) * Rate.parse(rate).gap if rate else 0)
    days = (found.expected or NOW).date() - NOW.date()
    if caps:
        assert max(port.messages for port in found.ports) <= 5000 * (days.days + 1)
