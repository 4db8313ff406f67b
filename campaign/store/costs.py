"""How many SMS parts went to the numbers of each prefix, so that a tariff can price them."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from campaign.planner.prefixes import REST, Prefixes
from campaign.store.unproved import unproved

_SENT = ("sent", "delivered", "undelivered", "no_receipt")
"""The network took it, so it is paid for."""
_WAITING = ("pending", "held")
"""Nothing of it is under way; an earlier attempt may have been sent."""


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
    """SMS parts by prefix: of messages that the network took, and of those of which it is not
    known (unknown, or in flight now).

    Whoever was sent to again after an attempt that was never proved may have got two.
    """
    prefix, arguments = _prefix_of(prefixes)
    rows = conn.execute(
        # one pass over the recipients; attempts (index attempts_recipient) only of those who have
        # earlier ones
        f"""
        SELECT prefix,
            coalesce(sum(parts * (CASE WHEN state IN {_SENT} THEN max(1, went) ELSE went END)), 0),
            coalesce(sum(parts * (CASE WHEN state IN {_SENT} THEN max(0, open - (went = 0))
                WHEN state = 'unknown' THEN max(1, open) WHEN state = 'assigned' THEN 1 + open
                WHEN state IN {_WAITING} THEN open ELSE 0 END)), 0)
        FROM (SELECT {prefix} AS prefix, r.parts, r.state,
                {_tries("u.outcome = 'sent'")} AS went, {_tries(unproved("u", "v"))} AS open
            FROM recipients AS r WHERE r.campaign_id = :campaign)
        GROUP BY 1
        """,
        {"campaign": campaign_id, **arguments},
    ).fetchall()
    sent = [(row[0], row[1]) for row in rows if row[1]]
    return sent, [(row[0], row[2]) for row in rows if row[2]]


def _tries(which: str) -> str:
    """SQL: how many attempts `which` of a recipient who was or is to be tried again, else 0."""
    return f"""
        (CASE WHEN r.attempts > 1 OR (r.attempts > 0 AND r.state IN {_WAITING}) THEN (
            SELECT count(*) FROM attempts AS u JOIN tasks AS v ON v.id = u.task_id
            WHERE u.recipient_id = r.id AND {which}) ELSE 0 END)
    """


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
