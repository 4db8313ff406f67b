"""Spread: whose turn it is among the ports with room."""

from __future__ import annotations

import pytest

from campaign.errors import UsageError
from campaign.planner.spread import Spread, last_served, ranks


def test_in_turn_means_the_port_after_the_last_one_served() -> None:
    def order(last: int | None) -> list[int]:
        found = ranks(Spread.ROUND_ROBIN, [1, 2, 3, 4], last=last, used={})
        return sorted(found, key=found.__getitem__)

    assert order(None) == [1, 2, 3, 4]
    assert order(2) == [3, 4, 1, 2]
    assert order(4) == [1, 2, 3, 4]


def test_the_least_used_sim_of_today_is_first() -> None:
    assert ranks(Spread.LEAST_USED, [1, 2, 3], last=None, used={1: 5, 3: 2}) == {1: 5, 2: 0, 3: 2}


@pytest.mark.parametrize("spread", [Spread.EVEN, Spread.STICKY])
def test_else_every_port_ranks_alike(spread: Spread) -> None:
    assert ranks(spread, [1, 2], last=1, used={1: 9}) == {1: 0, 2: 0}


@pytest.mark.parametrize(
    ("dealt", "last"), [({}, None), ({3: 1}, 3), ({3: 2, 1: 2, 2: 1}, 1), ({3: 2, 1: 2, 2: 2}, 2)]
)
def test_the_last_of_what_was_dealt_in_turn_is_told(dealt: dict[int, int], last: int) -> None:
    assert last_served([3, 1, 2], dealt) == last


def test_another_spread_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="even, round-robin, least-used, sticky"):
        Spread.parse("random")
