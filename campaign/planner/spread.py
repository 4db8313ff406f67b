"""Spread: which of the ports that have room is served first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from campaign.errors import UsageError


class Spread(StrEnum):
    """How the messages of a campaign are spread over its ports."""

    EVEN = "even"
    """The emptiest port first."""
    ROUND_ROBIN = "round-robin"
    """Each port in turn, whatever is queued on it."""
    LEAST_USED = "least-used"
    """The port whose SIM sent the fewest SMS parts today."""
    STICKY = "sticky"
    """The SIM that wrote to the recipient before; else the emptiest port."""

    @classmethod
    def parse(cls, text: str) -> Spread:
        """Raises `UsageError`."""
        try:
            return cls(text)
        except ValueError:
            raise UsageError(f"--spread {text}: write one of {', '.join(SPREADS)}") from None


SPREADS = tuple(str(spread) for spread in Spread)


def ranks(
    spread: Spread, ports: Sequence[int], *, last: int | None, used: Mapping[int, int]
) -> dict[int, int]:
    """A rank for each port, the lowest first in turn; ports of one rank are served emptiest first.

    `last` is the port that was served last, `used` the SMS parts of today.
    """
    match spread:
        case Spread.ROUND_ROBIN:
            behind = sorted(ports, key=lambda port: (last is not None and port <= last, port))
            return {port: rank for rank, port in enumerate(behind)}
        case Spread.LEAST_USED:
            return {port: used.get(port, 0) for port in ports}
        case _:
            return dict.fromkeys(ports, 0)


def last_served(grants: Sequence[int], dealt: Mapping[int, int]) -> int | None:
    """The port that got the last of what was dealt in turn over `grants` (in that order)."""
    most = max(dealt.values(), default=0)
    served = [port for port in grants if most and dealt.get(port, 0) == most]
    return served[-1] if served else None
