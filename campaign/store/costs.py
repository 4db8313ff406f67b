"""How many SMS parts went to the numbers of each prefix, so that a tariff can price them."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from campaign.planner.prefixes import REST, Prefixes

_SENT = ("sent", "delivered", "undelivered", "no_receipt")
"""The network took it, so it is paid for."""
_MAYBE = ("unknown", "assigned")
"""May have been sent."""


def parts_to_send(
    conn: sqlite3.Connection, campaign_id: int, prefixes: Prefixes[Any]
) -> list[tuple[str | None, int]]:
    """SMS parts of a draft by prefix, without those of recipients who opted out or are suppressed;
    None: no prefix covers them."""
    prefix, arguments = _prefix_of(prefixes)
    rows = conn.execute(
        # one pass over the campaign's recipients, grouped by at most as many prefixes as there are
        f"""
        SELECT {prefix} AS prefix, sum(r.parts)
        FROM recipients AS r LEFT JOIN optouts.optouts AS o ON o.number = r.number
        WHERE r.campaign_id = :campaign AND r.state = 'pending' AND o.number IS NULL GROUP BY 1
        """,
        {"campaign": campaign_id, **arguments},
    )
    return [(row[0], row[1]) for row in rows]


def parts_sent(
    conn: sqlite3.Connection, campaign_id: int, prefixes: Prefixes[Any]
) -> tuple[list[tuple[str | None, int]], list[tuple[str | None, int]]]:
    """SMS parts by prefix: of recipients whose message the network took, and of those of whom it
    is not known (unknown, or in flight now)."""
    prefix, arguments = _prefix_of(prefixes)
    rows = conn.execute(
        f"""
        SELECT {prefix} AS prefix,
            coalesce(sum(r.parts) FILTER (WHERE r.state IN {_SENT}), 0),
            coalesce(sum(r.parts) FILTER (WHERE r.state IN {_MAYBE}), 0)
        FROM recipients AS r WHERE r.campaign_id = :campaign GROUP BY 1
        """,
        {"campaign": campaign_id, **arguments},
    ).fetchall()
    sent = [(row[0], row[1]) for row in rows if row[1]]
    return sent, [(row[0], row[2]) for row in rows if row[2]]


def _prefix_of(prefixes: Prefixes[Any]) -> tuple[str, dict[str, str]]:
    """SQL for the longest prefix of `r.number`, and its parameters: one JSON array for each
    length, which is read once and looked up by an index."""
    arguments: dict[str, str] = {}
    cases: list[str] = []
    for length, listed in prefixes.by_length:
        arguments[f"prefixes{length}"] = json.dumps(listed)
        start = f"substr(r.number, 1, {length})"
        known = f"(SELECT value FROM json_each(:prefixes{length}))"
        cases.append(f"WHEN {start} IN {known} THEN {start}")
    rest = f"'{REST}'" if prefixes.has_rest else "NULL"
    return (f"CASE {' '.join(cases)} ELSE {rest} END" if cases else rest), arguments
