"""What messages cost: a price for each SMS part by the prefix of the number, summed exactly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from campaign.errors import UsageError
from campaign.planner.prefixes import REST, Prefixes, split_pairs

_MOST_PREFIXES = 10_000


@dataclass(frozen=True)
class Cost:
    """A sum of money, and how many SMS parts no prefix of the tariff covers."""

    amount: Decimal = Decimal(0)
    unpriced: int = 0

    @property
    def shown(self) -> str:
        """The amount in plain digits, at least two after the point."""
        text = f"{self.amount:f}"
        whole, _, cents = text.partition(".")
        return f"{whole}.{cents.rstrip('0').ljust(2, '0')}"

    @property
    def number(self) -> float:
        """The amount for JSON."""
        return float(self.amount)


class Tariff:
    """Prices of one SMS part by prefix, in whatever currency the operator thinks."""

    def __init__(self, prices: Prefixes[Decimal]) -> None:
        self.prices = prices

    @classmethod
    def parse(cls, pairs: Iterable[str]) -> Tariff:
        """`PREFIX=PRICE` texts; a prefix is digits with country code, or `*`.

        Raises `UsageError`.
        """
        priced = split_pairs(pairs, "--cost")
        if len(priced) > _MOST_PREFIXES:
            raise UsageError(f"a tariff has at most {_MOST_PREFIXES} prefixes, not {len(priced)}")
        return cls(Prefixes({prefix: _price(prefix, text) for prefix, text in priced}))

    def __bool__(self) -> bool:
        return bool(self.prices)

    def cost(self, parts_by_prefix: Iterable[tuple[str | None, int]]) -> Cost:
        """The sum over SMS parts that were counted by prefix; those of None have no price."""
        amount, unpriced = Decimal(0), 0
        for prefix, parts in parts_by_prefix:
            if prefix is None:
                unpriced += parts
            else:
                amount += self.prices.at(prefix) * parts
        return Cost(amount, unpriced)


def overlaid(tariff: Iterable[str], over: Iterable[str]) -> tuple[str, ...]:
    """A tariff whose prices of single prefixes are replaced, as `PREFIX=PRICE` texts."""
    merged = dict(split_pairs(tariff, "--tariff")) | dict(split_pairs(over, "--cost"))
    return tuple(f"{prefix}={price}" for prefix, price in merged.items())


def flat(price: float) -> str:
    """One price for every number."""
    return f"{REST}={price!r}"


def _price(prefix: str, text: str) -> Decimal:
    try:
        price = Decimal(text)
    except InvalidOperation:
        price = Decimal("NaN")
    if not price.is_finite() or price < 0:
        raise UsageError(f"--cost {prefix}={text}: a price is a number like 0.045, not below zero")
    return price
