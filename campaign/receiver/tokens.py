"""Which gateway a push path's token belongs to."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping

# A withdrawn token dies within this time; a new one is found at its first push (see `find`).
_KEEP_SECONDS = 1.0
# Wrong tokens cause at most one look-up of the source per this time, however many come in.
_MISS_SECONDS = 0.1


class TokenBook:
    """Finds a gateway by token without telling, by its timing, how much of a guess was right.

    `source()` gives every valid token, older ones of a rotation included, with its gateway's id.
    It may read a database: it is asked again only when the answer at hand is a second old, or
    lacks the token.
    """

    def __init__(
        self, source: Callable[[], Mapping[str, int]], monotonic: Callable[[], float]
    ) -> None:
        self._source = source
        self._monotonic = monotonic
        self._known: Mapping[str, int] = {}
        self._read_at = float("-inf")

    def find(self, token: str) -> int | None:
        """The gateway's id, or None. Raises what the source raises."""
        if self._age() >= _KEEP_SECONDS:
            self._refresh()
        found = self._compare(token)
        if found is None and self._age() >= _MISS_SECONDS:
            self._refresh()
            found = self._compare(token)
        return found

    def _age(self) -> float:
        return self._monotonic() - self._read_at

    def _refresh(self) -> None:
        self._known = self._source()
        self._read_at = self._monotonic()

    def _compare(self, token: str) -> int | None:
        given = token.encode("utf-8", "surrogatepass")
        found: int | None = None
        for known, gateway_id in self._known.items():  # never left early: see the class
            if known and hmac.compare_digest(known.encode(), given):
                found = gateway_id
        return found
