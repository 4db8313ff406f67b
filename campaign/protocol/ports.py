"""Ports of a gateway: one number, perhaps one SIM slot, perhaps a remote SIM pool.

Three notations name the same thing on the wire: `1A` (slot as a letter, specification 2.0), `1.01`
(slot in two digits, firmware 2.2 and later) and `12.sp256.101` (port, SIM pool, slot in the pool).
A bare `4` is a port whichever SIM it holds. Requests may also carry selections: `4-32`, lists,
`all`, `*`.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache, total_ordering
from typing import Final, Literal

from campaign.errors import LocalProtocolError

Notation = Literal["letter", "dotted"]

MAX_PORT: Final = 9999
"""No gateway has near as many; a larger number is a phone number or an id in the wrong place."""

_PORT: Final = re.compile(
    r"(?P<number>[0-9]{1,4})"
    r"(?:(?P<letter>[A-Za-z])|\.(?:(?P<pool>[A-Za-z][A-Za-z0-9_-]{0,31})\.)?(?P<slot>[0-9]{1,4}))?"
)
_RANGE: Final = re.compile(r"([0-9]{1,4})\s*-\s*([0-9]{1,4})")


class AllPorts(enum.Enum):
    """The selection `all` (or `*`): every port the device has, known to the device only."""

    ALL = "all"


@total_ordering
@dataclass(frozen=True, slots=True)
class Port:
    """One port: `number` and `slot` count from 1, as printed on the device's front."""

    number: int
    slot: int | None = None
    pool: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.number <= MAX_PORT:
            raise LocalProtocolError(f"port number {self.number} is not within 1..{MAX_PORT}")
        if self.slot is not None and not 1 <= self.slot <= MAX_PORT:
            raise LocalProtocolError(f"SIM slot {self.slot} is not within 1..{MAX_PORT}")
        if self.pool is not None and self.slot is None:
            raise LocalProtocolError(f"SIM pool {self.pool!r} without a slot in it")

    def __lt__(self, other: Port) -> bool:
        return self._key() < other._key()

    def _key(self) -> tuple[int, str, int]:
        return (self.number, self.pool or "", self.slot or 0)

    @staticmethod
    def parse(text: str | int) -> Port:
        """Read any of the notations; `LocalProtocolError` when it is none of them."""
        return _parse(str(text))

    def __str__(self) -> str:
        if self.slot is None:
            return str(self.number)
        if self.pool is None:
            return f"{self.number}.{self.slot:02d}"
        return f"{self.number}.{self.pool}.{self.slot}"

    def letter(self) -> str:
        """The notation of specification 2.0 (`1A`); what it cannot express stays dotted."""
        if self.slot is None or self.pool is not None or self.slot > 26:
            return str(self)
        return f"{self.number}{chr(ord('A') + self.slot - 1)}"

    def write(self, notation: Notation) -> str:
        """The port as text in one of the two dialects."""
        return self.letter() if notation == "letter" else str(self)


@lru_cache(maxsize=4096)
def _parse(text: str) -> Port:
    """Cached: a status report names the same few ports in every row."""
    match = _PORT.fullmatch(text.strip())
    if match is None:
        raise LocalProtocolError(f"{text[:40]!r} is not a port (write 4, 1A, 1.01 or 12.pool.101)")
    slot: int | None = None
    if match["letter"]:
        slot = ord(match["letter"].upper()) - ord("A") + 1
    elif match["slot"]:
        slot = int(match["slot"])
    return Port(int(match["number"]), slot, match["pool"])


def parse_selection(text: str) -> tuple[Port, ...] | AllPorts:
    """Read `1-8,12,2B`, `all` or `*` into ports, in the order written, each once.

    Ranges run over port numbers and never over slots. `LocalProtocolError` for anything else,
    and for an empty selection: to some commands of the protocol an empty one means everything.
    """
    if text.strip().lower() in ("all", "*"):
        return AllPorts.ALL
    chosen: dict[Port, None] = {}
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            chosen[Port.parse(part)] = None
            continue
        first, last = int(match[1]), int(match[2])
        if first > last:
            raise LocalProtocolError(f"the port range {part.strip()!r} runs backwards")
        chosen.update(dict.fromkeys(map(Port, range(first, last + 1))))
    return tuple(chosen)


def format_selection(ports: Iterable[Port] | AllPorts, notation: Notation = "dotted") -> str:
    """The shortest text that selects these ports: sorted, runs of three or more as `1-8`."""
    if isinstance(ports, AllPorts):
        return ports.value
    wanted = sorted(set(ports))
    numbers = [port.number for port in wanted if port.slot is None]
    parts: list[tuple[Port, str]] = [
        (port, port.write(notation)) for port in wanted if port.slot is not None
    ]
    for first, last in _runs(numbers):
        if last - first >= 2:
            parts.append((Port(first), f"{first}-{last}"))
        else:
            parts.extend((Port(number), str(number)) for number in range(first, last + 1))
    return ",".join(text for _, text in sorted(parts))


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """Consecutive stretches of a sorted list, as (first, last)."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def ranges(numbers: Iterable[int]) -> str:
    """Port numbers as somebody reads them: `1-4, 7`."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and parts[-1][-1] == number - 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(f"{p[0]}-{p[-1]}" if len(p) > 1 else str(p[0]) for p in parts)
