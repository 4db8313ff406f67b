"""Receipts that came: how many may be credited, and what one proves alone."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.planner.crediting import LIFE_MS, Arrivals, OnAir

NUMBER, NOON = "99915550101", 1_000_000_000
ONE = (1500, 0, 1)


def arrivals(*ports: int | None, at_ms: int = NOON) -> Arrivals:
    """One receipt for each port, told apart by the device's clock."""
    came = Arrivals({NUMBER})
    for nth, port in enumerate(ports):
        came.take(1, at_ms, port, NUMBER, (1500 + nth, 0, 1))
    return came


@pytest.mark.parametrize(
    ("ports", "credited", "lacking"),
    [
        ((), {1: 1}, 1),
        ((1,), {1: 1}, 0),
        ((1,), {1: 2}, 1),
        ((2,), {1: 1}, 1),
        ((None,), {1: 1}, 0),
        ((None,), {1: 1, 2: 1}, 1),
        ((1, None), {1: 1, 2: 1}, 0),
        ((1, 1, 2), {1: 2, 2: 1}, 0),
    ],
)
def test_no_more_are_credited_than_came_and_one_without_a_port_fits_any(
    ports: tuple[int | None, ...], credited: Mapping[int | None, int], lacking: int
) -> None:
    assert arrivals(*ports).lacking(1, NUMBER, credited) == lacking


def test_the_same_receipt_again_is_none_more() -> None:
    came = arrivals(1)
    came.take(1, NOON + 5, 1, NUMBER, ONE)
    assert came.lacking(1, NUMBER, {1: 2}) == 1
    came.take(1, NOON + 5, 1, NUMBER, (1500, 0, 2))  # the other part of one message
    assert came.lacking(1, NUMBER, {1: 2}) == 0


def test_another_gateways_receipt_and_anothers_number_credit_nothing() -> None:
    came = Arrivals({NUMBER})
    came.take(2, NOON, 1, NUMBER, ONE)
    came.take(1, NOON, 1, "99977777777", ONE)
    assert came.lacking(1, NUMBER, {1: 1}) == 1


def test_one_without_a_number_may_be_anybodys() -> None:
    came = Arrivals({NUMBER})
    came.take(1, NOON, 1, "", ONE)
    assert came.lacking(1, NUMBER, {1: 1}) == 0
    assert came.lacking(1, NUMBER, {2: 1}) == 1
    assert came.prove(1, NUMBER, OnAir(1, NOON), [])


@pytest.mark.parametrize(
    ("message", "others", "proved"),
    [
        (OnAir(1, NOON - 60_000), [], True),
        (OnAir(1, NOON + 60_000), [], False),
        (OnAir(2, NOON - 60_000), [], False),
        (OnAir(1, NOON - 60_000), [OnAir(1, NOON - 90_000)], False),
        (OnAir(1, NOON - 60_000), [OnAir(2, NOON - 90_000)], True),
        (OnAir(1, NOON - 60_000), [OnAir(1, NOON + 90_000)], True),
        (OnAir(1, NOON - 60_000), [OnAir(1, NOON - LIFE_MS)], True),
    ],
    ids=[
        "after",
        "before",
        "elsewhere",
        "rival",
        "rival-elsewhere",
        "rival-later",
        "rival-long-ago",
    ],
)
def test_a_receipt_proves_a_message_only_where_it_can_be_nobody_elses(
    message: OnAir, others: list[OnAir], proved: bool
) -> None:
    assert arrivals(1).prove(1, NUMBER, message, others) is proved


def test_one_without_a_port_may_be_of_a_message_through_any() -> None:
    message = OnAir(1, NOON - 60_000)
    assert arrivals(None).prove(1, NUMBER, message, [])
    assert not arrivals(None).prove(1, NUMBER, message, [OnAir(2, NOON - 90_000)])


@given(st.lists(st.tuples(st.integers(0, 9), st.none() | st.integers(1, 2), st.integers(1, 2))))
def test_any_order_and_any_number_of_times_comes_to_the_same(
    taken: list[tuple[int, int | None, int]],
) -> None:
    def came(rows: list[tuple[int, int | None, int]]) -> object:
        one = Arrivals({NUMBER})
        for at_ms, port, ordinal in rows:
            one.take(1, at_ms, port, NUMBER, (None, 0, ordinal))
        return one.all()

    assert came(taken) == came([*reversed(taken), *taken])
