"""Places: a port of a gateway as `gateway:port`, and where a recipient that failed goes next.

A recipient carries the places of its proved failures, the latest last. It goes where it was not
tried yet while there is such a place; once all were tried, anywhere but where it just failed.
"""

from __future__ import annotations

from collections.abc import Collection

MOST_TRIED = 24
"""Places that are kept of one recipient: more than it may be tried by default and by any sense."""


def place_of(gateway_id: int, port: int) -> str:
    return f"{gateway_id}:{port}"


def tried_places(avoid: str | None) -> list[str]:
    """The places of a recipient's failures, oldest first."""
    return avoid.split(",") if avoid else []


def with_failure(avoid: str | None, place: str) -> str:
    """The places to avoid after a failure at `place`."""
    others = [tried for tried in tried_places(avoid) if tried != place]
    return ",".join([*others, place][-MOST_TRIED:])


def shuns(avoid: str | None, place: str, reachable: Collection[str] | None) -> bool:
    """Whether a recipient is not to go to `place` now.

    `reachable` are the places that could serve it now; None where that is not known: then it
    shuns every place it failed at.
    """
    tried = tried_places(avoid)
    if place not in tried:
        return False
    if reachable is None or any(other not in tried for other in reachable):
        return True
    return place == tried[-1] and any(other != place for other in reachable)
