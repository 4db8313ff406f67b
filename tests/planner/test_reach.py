"""Reach: which ports the recipients of a lane may go to now."""

from __future__ import annotations

from typing import Any

from campaign.planner.lanes import Lane
from campaign.planner.reach import Place, Reach, reach
from campaign.planner.routing import Shut

NOW = 1000.0


def place(gateway: int, port: int, **facts: Any) -> Place:
    known = {"operator": "", "sim": f"sim{gateway}{port}", "open": True}
    return Place(gateway, f"gw{gateway}", port, **{**known, **facts})


PLACES = [place(1, 1, operator="CMCC"), place(1, 2), place(2, 1), place(2, 2, open=False)]


def reached(*lanes: Lane, places: list[Place] = PLACES, **facts: Any) -> Reach:
    return reach(lanes, places, NOW, **{"sticky_wait": 600.0, "missed": {}, **facts})


def test_a_lane_without_a_route_goes_wherever_somebody_can_send() -> None:
    assert reached(Lane(0)).places == {0: {"1:1", "1:2", "2:1"}}


def test_a_route_names_its_ports_and_closed_ones_do_not_count() -> None:
    found = reached(Lane(0, route="gw2"), Lane(1, route="@cmcc+gw1:2"), Lane(2, route="gw2:2"))
    assert found.places == {0: {"2:1"}, 1: {"1:1", "1:2"}}
    assert found.waits == {2: Shut("waits for a port of gw2:2")}
    assert (found.lanes_at("2:1"), found.lanes_at("1:1")) == ({0}, {1})


def test_a_sim_keeps_its_own_recipients_while_it_can_send() -> None:
    assert reached(Lane(4, sim="sim12")).places == {4: {"1:2"}}


def test_a_sim_that_cannot_send_is_waited_for_then_everybody_serves() -> None:
    first = reached(Lane(4, sim="sim22"))
    assert (first.places, first.missed) == ({}, {4: NOW})
    assert first.shut == Shut("waits for the SIM that wrote to them before", NOW + 600)
    later = reached(Lane(4, sim="sim22"), missed={4: NOW - 600})
    assert (later.places, later.waits) == ({4: {"1:1", "1:2", "2:1"}}, {})


def test_a_sim_that_came_back_has_its_recipients_again_and_a_new_wait() -> None:
    found = reached(Lane(4, sim="sim12"), missed={4: NOW - 900})
    assert (found.places, found.missed) == ({4: {"1:2"}}, {})


def test_a_sim_outside_the_route_is_not_waited_for_longer_than_any_other() -> None:
    found = reached(Lane(4, route="gw2", sim="sim12"), sticky_wait=0.0)
    assert found.places == {4: {"2:1"}}


def test_equal_waits_are_said_once_with_the_earliest_moment() -> None:
    lanes = [Lane(1, route="@x"), Lane(2, route="@x", sim="a"), Lane(3, sim="b"), Lane(4, sim="c")]
    told = reached(*lanes, missed={3: NOW - 10}).shut
    assert told == Shut(
        "waits for a port of @x, waits for the SIM that wrote to them before", NOW + 590
    )
