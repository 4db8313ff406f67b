"""Places: who failed somewhere goes where it was not tried yet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.planner.places import MOST_TRIED, shuns, tried_places, with_failure


def test_the_latest_failure_stands_last_and_each_place_once() -> None:
    assert with_failure(None, "1:1") == "1:1"
    assert with_failure("1:1,1:2", "2:1") == "1:1,1:2,2:1"
    assert with_failure("1:1,1:2", "1:1") == "1:2,1:1"
    many = None
    for port in range(100):
        many = with_failure(many, f"1:{port}")
    assert tried_places(many) == [f"1:{port}" for port in range(100 - MOST_TRIED, 100)]


@pytest.mark.parametrize(
    ("avoid", "place", "reachable", "shunned"),
    [
        pytest.param(None, "1:1", {"1:1"}, False, id="never failed"),
        pytest.param("1:2", "1:1", {"1:1", "1:2"}, False, id="not there"),
        pytest.param("1:1", "1:1", {"1:1", "1:2"}, True, id="another is left"),
        pytest.param("1:1", "1:1", {"1:1"}, False, id="the only one"),
        pytest.param("1:1,1:2", "1:1", {"1:1", "1:2"}, False, id="all tried, not the last"),
        pytest.param("1:1,1:2", "1:2", {"1:1", "1:2"}, True, id="all tried, the last"),
        pytest.param("1:1", "1:11", {"1:1", "1:11"}, False, id="begins alike"),
        pytest.param("1:1", "1:1", None, True, id="nothing known"),
    ],
)
def test_a_place_is_shunned_while_another_could_serve(
    avoid: str | None, place: str, reachable: set[str] | None, shunned: bool
) -> None:
    assert shuns(avoid, place, reachable) is shunned


PLACES = [f"{gateway}:{port}" for gateway in (1, 11) for port in (1, 2, 11)]


@given(st.data())
def test_whoever_is_tried_again_and_again_sees_every_place_before_any_twice(
    data: st.DataObject,
) -> None:
    reachable = set(data.draw(st.lists(st.sampled_from(PLACES), unique=True, min_size=1)))
    avoid, seen = None, []
    for _ in range(2 * len(reachable)):
        willing = [place for place in sorted(reachable) if not shuns(avoid, place, reachable)]
        assert willing, "there is always somewhere to go"
        seen.append(data.draw(st.sampled_from(willing)))
        avoid = with_failure(avoid, seen[-1])
    assert set(seen[: len(reachable)]) == reachable
