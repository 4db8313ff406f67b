"""Routing: what each port may be given now, and why not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.planner.routing import PortFacts, Shut, Turn, Wait, plan_turn
from campaign.planner.split import Grant

NOW = 100.0


def port(number: int = 1, **facts: Any) -> PortFacts:
    defaults: dict[str, Any] = {"usable": True, "outstanding": 0, "window": 10}
    return PortFacts(number, **{**defaults, **facts})


def turn(*ports: PortFacts, **changes: Any) -> Turn:
    defaults: dict[str, Any] = {
        "fair": 100, "budget": None, "single": False, "slow_start": False,
    }  # fmt: skip
    return plan_turn(7, ports, NOW, **{**defaults, **changes})


def test_a_port_gets_the_free_part_of_its_window_under_its_own_place() -> None:
    assert turn(port(3, outstanding=4)).grants == (Grant(3, 6, "7:3"),)


def test_the_emptiest_port_comes_first() -> None:
    granted = turn(port(1, outstanding=3), port(2), port(3, outstanding=1)).grants
    assert [grant.port for grant in granted] == [2, 3, 1]


def test_a_fair_part_keeps_one_port_from_holding_everything() -> None:
    assert [grant.count for grant in turn(port(1), port(2), fair=3).grants] == [3, 3]
    assert [grant.count for grant in turn(port(1, outstanding=2), fair=3).grants] == [1]
    assert turn(port(1, outstanding=3), fair=3).grants == ()
    assert [grant.count for grant in turn(port(1), fair=0).grants] == [1]


@pytest.mark.parametrize(
    ("facts", "why", "wake_at"),
    [
        pytest.param({"usable": False}, "1 port cannot send", None, id="not-registered"),
        pytest.param({"outstanding": 10}, "1 port busy", None, id="full"),
        pytest.param({"outstanding": 12}, "1 port busy", None, id="over-full"),
        pytest.param({"ready_at": 101.5}, "1 port pacing", 101.5, id="pacing"),
        pytest.param({"rests_until": 160.0}, "1 port resting after failures", 160.0, id="resting"),
        pytest.param({"shut": Shut("used up", 500.0)}, "1 port used up", 500.0, id="limit"),
    ],
)
def test_a_port_that_gets_nothing_says_why_and_until_when(
    facts: dict[str, Any], why: str, wake_at: float | None
) -> None:
    told = turn(port(1, **facts))
    assert (told.grants, told.wake_at, told.why) == ((), wake_at, why)


def test_the_earliest_change_wakes_and_reasons_are_counted() -> None:
    told = turn(port(1, ready_at=105.0), port(2, ready_at=103.0), port(3, usable=False), port(4))
    assert told.wake_at == 103.0
    assert told.why == "2 ports pacing, 1 port cannot send"
    assert [grant.port for grant in told.grants] == [4]


@pytest.mark.parametrize(
    "facts", [{"rests_until": 99.0}, {"probing": True}], ids=["rested", "probe"]
)
def test_a_port_that_rested_gets_one_probe_at_a_time(facts: dict[str, Any]) -> None:
    assert turn(port(1, **facts)).grants == (Grant(1, 1, "7:1"),)
    assert turn(port(1, outstanding=1, **facts)).grants == ()


def test_a_slow_start_leaves_one_message_per_port_outstanding() -> None:
    told = turn(port(1), port(2, outstanding=1), slow_start=True)
    assert told.grants == (Grant(1, 1, "7:1"),)
    assert told.why == "1 port waiting for the first report"


def test_a_slow_start_does_not_wait_for_what_runs_left_that_reports_have_reached() -> None:
    told = turn(port(1, outstanding=4, unheard=0), slow_start=True)
    assert told.grants == (Grant(1, 1, "7:1"),)
    told = turn(port(1, outstanding=4, unheard=1), slow_start=True)
    assert told.why == "1 port waiting for the first report"
    full = port(1, outstanding=10, unheard=0)
    assert turn(full, slow_start=True).why == "1 port busy"


def test_single_is_one_message_a_port_and_the_budget_is_over_all_ports() -> None:
    ports = [port(n) for n in (1, 2, 3)]
    assert [grant.count for grant in turn(*ports, single=True).grants] == [1, 1, 1]
    assert [grant.count for grant in turn(*ports, budget=14).grants] == [10, 4]
    assert turn(*ports, budget=0).grants == ()


def test_every_port_that_gets_nothing_is_named_with_its_own_reason() -> None:
    told = turn(port(1, ready_at=105.0), port(2, usable=False), port(3))
    assert told.waits == (Wait(1, "pacing", 105.0), Wait(2, "cannot send"))


def test_what_holds_the_gateway_is_said_instead_of_its_ports() -> None:
    told = Turn((), (Wait(1, "pacing", 105.0),), Shut("no report has arrived", 103.0))
    assert (told.why, told.wake_at) == ("no report has arrived", 103.0)


PORT = st.builds(
    PortFacts,
    port=st.integers(1, 64),
    usable=st.booleans(),
    outstanding=st.integers(0, 50),
    window=st.integers(1, 50),
    ready_at=st.sampled_from([0.0, NOW, NOW + 1]),
    rests_until=st.sampled_from([None, NOW - 1, NOW + 1]),
    probing=st.booleans(),
    shut=st.sampled_from([None, None, Shut("used up")]),
    room=st.none() | st.integers(1, 20),
    unheard=st.none() | st.integers(0, 2),
)


@given(
    st.lists(PORT, unique_by=lambda facts: facts.port, max_size=16),
    st.integers(0, 60),
    st.none() | st.integers(0, 60),
    st.booleans(),
    st.booleans(),
)
def test_no_grant_ever_exceeds_window_fair_part_budget_or_a_ports_own_limits(
    ports: list[PortFacts], fair: int, budget: int | None, single: bool, slow_start: bool
) -> None:
    told = plan_turn(7, ports, NOW, fair=fair, budget=budget, single=single, slow_start=slow_start)
    facts = {port.port: port for port in ports}
    assert len({grant.port for grant in told.grants}) == len(told.grants)
    for grant in told.grants:
        port = facts[grant.port]
        assert port.usable
        assert port.shut is None
        assert port.ready_at <= NOW
        assert port.room is None or grant.count <= port.room
        assert port.rests_until is None or port.rests_until <= NOW
        assert 1 <= grant.count <= min(max(1, fair), port.window) - port.outstanding
        assert grant.count == 1 or not single
        assert grant.count + port.outstanding == 1 or not (
            port.probing or port.rests_until is not None
        )
        risked = port.outstanding if port.unheard is None else port.unheard
        assert grant.count + risked == 1 or not slow_start
    if budget is not None:
        assert sum(grant.count for grant in told.grants) <= budget
