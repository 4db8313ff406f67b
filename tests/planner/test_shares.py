"""Priorities are strict, shares are fair, and nobody is owed for a time it was not there."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.planner.shares import Contender, Priority, Queue

shares = st.lists(st.integers(1, 10), min_size=1, max_size=6)
grants = st.lists(st.integers(1, 50), min_size=1, max_size=200)


def serve(queue: Queue, contenders: list[Contender], sizes: list[int]) -> tuple[Queue, list[int]]:
    """Whoever is first in turn gets each grant; the ids in the order of serving."""
    by_id = {one.id: one for one in contenders}
    order: list[int] = []
    for size in sizes:
        queue = queue.with_contenders(contenders)
        first = queue.in_order()[0]
        queue = queue.served(by_id[first], size)
        order.append(first)
    return queue, order


@given(shares, grants)
def test_what_two_campaigns_got_by_share_differs_by_at_most_a_grant_of_each(
    weights: list[int], sizes: list[int]
) -> None:
    contenders = [Contender(nth, share=share) for nth, share in enumerate(weights)]
    _, order = serve(Queue(), contenders, sizes)
    got: Counter[int] = Counter()
    for id_, size in zip(order, sizes, strict=True):
        got[id_] += size
        by_share = [got[one.id] / one.share for one in contenders]
        largest = max(sizes)
        for i, one in enumerate(contenders):
            for k, other in enumerate(contenders):
                bound = largest / one.share + largest / other.share
                assert abs(by_share[i] - by_share[k]) <= bound + 1e-9


@given(shares, st.integers(1, 50))
def test_nobody_starves_within_a_priority(weights: list[int], size: int) -> None:
    contenders = [Contender(nth, share=share) for nth, share in enumerate(weights)]
    # the most grants all the others can get before the one with the least share has its turn
    turns = sum(weights) // min(weights) + len(weights)
    _, order = serve(Queue(), contenders, [size] * turns)
    assert set(order) == {one.id for one in contenders}


@given(st.lists(st.sampled_from(Priority), min_size=1, max_size=6), grants)
def test_priorities_are_strict(priorities: list[Priority], sizes: list[int]) -> None:
    contenders = [Contender(nth, priority) for nth, priority in enumerate(priorities)]
    best = min(priorities, key=lambda priority: priority.rank)
    _, order = serve(Queue(), contenders, sizes)
    assert {priorities[id_] for id_ in order} == {best}


@given(grants, st.integers(1, 5))
def test_a_campaign_that_comes_late_catches_nothing_up(before: list[int], share: int) -> None:
    old, late = Contender(1), Contender(2, share=share)
    queue, _ = serve(Queue(), [old], before)
    _, order = serve(queue, [old, late], [1] * (10 * (1 + share)))
    # the grant that was under way when it came counts for neither
    assert abs(order.count(2) - share * order.count(1)) <= max(before) * share + share


def test_a_campaign_that_was_away_has_saved_nothing() -> None:
    one, two = Contender(1), Contender(2)
    queue, _ = serve(Queue(), [one, two], [10] * 4)
    queue, _ = serve(queue, [one], [10] * 100)
    _, order = serve(queue, [one, two], [10] * 20)
    assert abs(order.count(1) - order.count(2)) <= 1


def test_a_campaign_that_goes_and_comes_back_does_not_get_more() -> None:
    one, two = Contender(1), Contender(2)
    queue = Queue()
    got: Counter[int] = Counter()
    for _ in range(50):
        queue = queue.with_contenders([two]).with_contenders([one, two])
        first = queue.in_order()[0]
        queue = queue.served(one if first == 1 else two, 10)
        got[first] += 10
    assert abs(got[1] - got[2]) <= 10


def test_a_campaign_of_another_priority_begins_there_anew() -> None:
    one, two = Contender(1), Contender(2, Priority.LOW)
    queue, _ = serve(Queue(), [one, two], [10] * 5)
    queue = queue.with_contenders([one, Contender(2)])
    _, order = serve(queue, [one, Contender(2)], [10] * 20)
    assert abs(order.count(1) - order.count(2)) <= 2


@pytest.mark.parametrize("word", ["urgent", "high", "normal", "low"])
def test_priorities_read_as_they_are_written(word: str) -> None:
    assert Priority(word).value == word
