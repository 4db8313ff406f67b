"""The rule of `planner.places.shuns` in SQL, so that a claim reads only who may go somewhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from campaign.planner.places import MOST_TRIED

Condition = tuple[str, Mapping[str, str]]
"""SQL and its parameters."""

EVERYBODY: Condition = ("1", {})


def goes_to(granted: Sequence[str], reachable: Collection[str] | None) -> Condition:
    """A condition on `r.avoid` that holds for those who may go to one of the `granted` places, and
    its parameters; `reachable` are all places that could serve them now, None: not known."""
    if len(granted) > MOST_TRIED:  # more places than anybody can avoid
        return EVERYBODY
    arguments = {f"granted{i}": f",{place}," for i, place in enumerate(granted)}
    terms = ["r.avoid IS NULL", *(f"NOT {_tried(name)}" for name in arguments)]
    if reachable is not None and len(reachable) <= MOST_TRIED:
        places = {f"reachable{i}": f",{place}," for i, place in enumerate(sorted(reachable))}
        everywhere = [_tried(name) for name in places]
        if len(granted) == 1 and any(place != granted[0] for place in reachable):
            everywhere.append("r.avoid <> :last AND r.avoid NOT LIKE '%,' || :last")
            places["last"] = granted[0]
        terms.append(f"({' AND '.join(everywhere) or '1'})")
        arguments |= places
    return f"({' OR '.join(terms)})", arguments


def _tried(name: str) -> str:
    return f"instr(',' || r.avoid || ',', :{name}) > 0"
