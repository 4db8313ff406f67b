"""Who may go to a granted place: the store reads those whom the planner would send there."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from hypothesis import given
from hypothesis import strategies as st

from campaign.planner.places import shuns
from campaign.store.reachable import goes_to

PLACES = [f"{gateway}:{port}" for gateway in (1, 11) for port in (1, 2, 11)]


@given(
    st.none() | st.lists(st.sampled_from(PLACES), unique=True, min_size=1).map(",".join),
    st.lists(st.sampled_from(PLACES), unique=True, min_size=1),
    st.none() | st.sets(st.sampled_from(PLACES)),
)
def test_the_store_reads_exactly_those_whom_the_planner_would_send_somewhere(
    avoid: str | None, granted: list[str], reachable: set[str] | None
) -> None:
    if reachable is not None:
        reachable |= set(granted)  # what is granted can be reached
    condition, arguments = goes_to(granted, reachable)
    with closing(sqlite3.connect(":memory:")) as conn:
        (read,) = conn.execute(
            f"SELECT {condition} FROM (SELECT :avoid AS avoid) AS r",
            {"avoid": avoid, **arguments},
        ).fetchone()
    assert bool(read) is any(not shuns(avoid, place, reachable) for place in granted)
