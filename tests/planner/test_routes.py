"""Routes: the longest prefix decides who may serve a number."""

from __future__ import annotations

import pytest

from campaign.errors import UsageError
from campaign.planner.routes import Routes, may_serve, targets_of

ROUTES = Routes.parse(("86=gw1", "+8613=@cmcc + gw2:1-4,9", "861350=!", "*=gw3"))


@pytest.mark.parametrize(
    ("number", "rule"),
    [
        ("8618812345678", "gw1"),
        ("8613812345678", "@cmcc+gw2:1-4,9"),
        ("8613501234567", "!"),
        ("4915112345678", "gw3"),
        ("86", "gw1"),
    ],
)
def test_the_longest_prefix_wins_and_the_star_is_the_rest(number: str, rule: str) -> None:
    assert ROUTES.rule_of(number) == rule


def test_without_a_rule_a_number_goes_anywhere() -> None:
    routes = Routes.parse(("86=gw1",))
    assert routes.rule_of("4915112345678") == ""
    assert may_serve("", "any", 7, "")


def test_nobody_is_a_reason_in_words() -> None:
    assert ROUTES.refuses("8613501234567") == "the route 861350=! gives it to nobody"
    assert ROUTES.refuses("8613812345678") is None
    assert targets_of("!") == ()


@pytest.mark.parametrize(
    ("gateway", "port", "operator", "served"),
    [
        ("gw2", 4, "", True),
        ("gw2", 5, "", False),
        ("gw2", 9, "UNICOM", True),
        ("gw9", 5, "CMCC", True),
        ("gw9", 5, "China Mobile (CMCC)", True),
        ("gw9", 5, "", False),
    ],
)
def test_a_port_serves_by_name_by_number_or_by_its_operator(
    gateway: str, port: int, operator: str, served: bool
) -> None:
    assert may_serve("@cmcc+gw2:1-4,9", gateway, port, operator) is served


@pytest.mark.parametrize(
    "route",
    [
        "86",
        "86=",
        "abc=gw1",
        "86=@",
        "86=gw1:",
        "86=gw1:x",
        "86=gw1+!",
        "86=gw1:8-1",
        "86=gw1++gw2",
    ],
)
def test_a_route_that_cannot_be_read_is_refused_with_its_text(route: str) -> None:
    with pytest.raises(UsageError, match="--route"):
        Routes.parse((route,))


def test_two_rules_for_one_prefix_are_refused_unless_they_are_alike() -> None:
    with pytest.raises(UsageError, match="86 is given twice"):
        Routes.parse(("86=gw1", "+86=gw2"))
    assert Routes.parse(("86=gw1", "86=gw1")).rule_of("861") == "gw1"


def test_a_gateway_that_the_campaign_does_not_use_is_named() -> None:
    ROUTES.check_places(dict.fromkeys(["gw1", "gw2", "gw3"], ()))
    with pytest.raises(UsageError, match=r"'gw3', which this campaign does not use.*gw1, gw2"):
        ROUTES.check_places(dict.fromkeys(["gw1", "gw2"], ()))


def test_a_port_that_its_gateway_does_not_have_is_named_where_its_ports_are_known() -> None:
    routes = Routes.parse(("86=gw1:4-6+gw2", "861=gw2:3", "1=@CMCC", "7=!"))
    routes.check_places({"gw1": range(1, 7), "gw2": ()})
    with pytest.raises(UsageError, match=r"names ports 5-6 of gw1, which has 1-4$"):
        routes.check_places({"gw1": range(1, 5), "gw2": ()})
    with pytest.raises(UsageError, match=r"names port 3 of gw2, which has 1-2, 4$"):
        routes.check_places({"gw1": (), "gw2": (1, 2, 4)})
