"""Longest prefix wins: what is said of a number by the digits it begins with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

from campaign.errors import UsageError

T = TypeVar("T")

REST = "*"
"""Stands for every number that no other prefix covers."""
_DIGITS = re.compile(r"[0-9]{1,15}", re.ASCII)


class Prefixes(Generic[T]):
    """Values by prefix of a number (E.164 digits without `+`); `*` is the rest."""

    def __init__(self, values: Mapping[str, T]) -> None:
        self._values = dict(values)
        lengths = {len(prefix) for prefix in values if prefix != REST}
        self._lengths = sorted(lengths, reverse=True)

    def __bool__(self) -> bool:
        return bool(self._values)

    def prefix_of(self, number: str) -> str | None:
        """The longest prefix that covers a number; None if none does."""
        for length in self._lengths:
            if number[:length] in self._values:
                return number[:length]
        return REST if REST in self._values else None

    def value_of(self, number: str) -> T | None:
        """What holds for a number; None if no prefix covers it."""
        prefix = self.prefix_of(number)
        return None if prefix is None else self._values[prefix]

    def at(self, prefix: str) -> T:
        """What was said of exactly this prefix."""
        return self._values[prefix]

    @property
    def by_length(self) -> list[tuple[int, list[str]]]:
        """The prefixes that are digits, the longest first, with their length."""
        return [
            (length, sorted(p for p in self._values if p != REST and len(p) == length))
            for length in self._lengths
        ]

    @property
    def has_rest(self) -> bool:
        return REST in self._values

    def values(self) -> list[T]:
        return list(self._values.values())


def split_pairs(pairs: Iterable[str], option: str) -> list[tuple[str, str]]:
    """`PREFIX=VALUE` texts, each prefix checked and written as digits, each once.

    Raises `UsageError` that names `option`.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        prefix, equals, value = (part.strip() for part in pair.partition("="))
        prefix = prefix.removeprefix("+")
        if not equals or not value:
            raise UsageError(f"{option} {pair!r}: write PREFIX=VALUE, as 86=…, or *=… for the rest")
        if prefix != REST and not _DIGITS.fullmatch(prefix):
            raise UsageError(
                f"{option} {pair!r}: a prefix is digits with the country code, as 8613, or *"
            )
        if found.get(prefix, value) != value:
            raise UsageError(f"{option} {pair!r}: {prefix} is given twice, and not alike")
        found[prefix] = value
    return list(found.items())
