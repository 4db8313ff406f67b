"""Which receipts came, and to whom they can belong: what may be credited to a message at most.

Receipts name device, port and number, no message. What a ledger credited to its messages can so be
checked without knowing how it did so: no more than came, none before its message was sent, and none
to a message that nothing else proves while another one to that number may have been on air.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

LIFE_MS: Final = 72 * 3_600_000
"""A receipt comes within 72 hours, or is no longer waited for."""

_JITTER_MS: Final = 2000
"""The clocks of whoever sends and of whoever receives may differ by this much."""

Sameness: TypeAlias = tuple[int | None, int, int]
"""(the device's time, code, which of equal rows of one message): what makes two receipts one."""

_Receipt: TypeAlias = tuple[int | None, Sameness, int]
"""Port, sameness, earliest arrival."""


@dataclass(frozen=True, slots=True)
class OnAir:
    """A message to a number from a device that may be on air since `intent_ms`."""

    port: int | None
    intent_ms: int


class Arrivals:
    """The receipts for these numbers, each once, with its earliest arrival; in any order."""

    def __init__(self, numbers: Container[str]) -> None:
        self._numbers = numbers
        # tuples, since there is one for nearly every message of a campaign
        self._came: dict[tuple[int, str], tuple[_Receipt, ...]] = {}
        self._nameless: set[tuple[int, int | None]] = set()

    def take(
        self, gateway_id: int, at_ms: int, port: int | None, number: str, same: Sameness
    ) -> None:
        """Add one; those that name somebody else are dropped."""
        if not number:
            self._nameless.add((gateway_id, port))
        elif number in self._numbers:
            came = self._came.get((gateway_id, number), ())
            others = [one for one in came if one[:2] != (port, same)]
            earliest = min(at_ms, *(one[2] for one in came if one[:2] == (port, same)), at_ms)
            self._came[gateway_id, number] = (*others, (port, same, earliest))

    def all(self) -> dict[tuple[int, str], frozenset[_Receipt]]:
        """What came, by gateway and number."""
        return {place: frozenset(came) for place, came in self._came.items()}

    def has_nameless(self, gateway_id: int, port: int | None) -> bool:
        """Whether one without a number came from there: it may be anybody's."""
        return any((gateway_id, place) in self._nameless for place in (port, None))

    def lacking(self, gateway_id: int, number: str, credited: Mapping[int | None, int]) -> int:
        """How many more were credited, by port, than came; one without a port fits any."""
        came = Counter(port for port, _, _ in self._came.get((gateway_id, number), ()))
        left = came[None]
        for port, n in credited.items():
            if self.has_nameless(gateway_id, port):
                continue
            left -= n if port is None else max(0, n - came[port])
        return max(0, -left)

    def prove(self, gateway_id: int, number: str, message: OnAir, others: Iterable[OnAir]) -> bool:
        """Whether one that came after the message was sent can be nobody else's. `others`: what
        else may have been on air to that number from that device."""
        if self.has_nameless(gateway_id, message.port):
            return True
        rivals = list(others)
        return any(
            port in (None, message.port)
            and at_ms >= message.intent_ms - _JITTER_MS
            and not any(_fits(rival, port, at_ms) for rival in rivals)
            for port, _, at_ms in self._came.get((gateway_id, number), ())
        )


def _fits(rival: OnAir, port: int | None, at_ms: int) -> bool:
    """Whether a receipt from this port may as well be of this message."""
    if port is not None and rival.port != port:
        return False
    return at_ms - LIFE_MS + _JITTER_MS < rival.intent_ms <= at_ms - _JITTER_MS
