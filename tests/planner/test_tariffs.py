"""Tariffs: exact sums of prices by prefix."""

from __future__ import annotations

from decimal import Decimal

import pytest

from campaign.errors import UsageError
from campaign.planner.tariffs import Cost, Tariff, flat, overlaid


def test_a_sum_of_many_parts_is_exact() -> None:
    tariff = Tariff.parse(("86=0.1", "8613=0.045"))
    assert tariff.cost([("86", 3), ("8613", 1_000_000)]) == Cost(Decimal("45000.300"), 0)


def test_parts_that_no_prefix_covers_are_counted_beside_the_sum() -> None:
    assert Tariff.parse(("86=0.1",)).cost([("86", 1), (None, 7)]) == Cost(Decimal("0.1"), 7)


def test_one_price_for_all_is_the_rest_of_a_tariff() -> None:
    assert Tariff.parse((flat(0.05),)).cost([("*", 3)]).number == 0.15


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("0", "0.00"),
        ("0.1", "0.10"),
        ("45000.300", "45000.30"),
        ("1E+3", "1000.00"),
        ("0.0450", "0.045"),
    ],
)
def test_an_amount_is_shown_in_plain_digits(amount: str, shown: str) -> None:
    assert Cost(Decimal(amount)).shown == shown


@pytest.mark.parametrize("cost", ["86", "86=", "86=-1", "86=NaN", "86=Infinity", "x=1", "86=1,5"])
def test_a_price_that_cannot_be_is_refused(cost: str) -> None:
    with pytest.raises(UsageError, match="--cost"):
        Tariff.parse((cost,))


def test_a_single_price_beats_the_tariff_file() -> None:
    assert overlaid(("86=0.1", "*=0.2"), ("86=0.3",)) == ("86=0.3", "*=0.2")


def test_no_price_at_all_is_no_tariff() -> None:
    assert not Tariff.parse(())
