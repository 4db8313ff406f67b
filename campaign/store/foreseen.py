"""What the ledger knows that a forecast needs: who is to be sent to, how ports fared so far; and
the forecast that a campaign was started with."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from campaign.planner.states import CampaignState, RecipientState
from campaign.store.campaigns import CampaignRow, counts, list_campaigns

_CHUNK = 5000
_RECENT_TASKS = 5000
_LEAST_MESSAGES = 20
_LEAST_SECONDS = 60.0
_LEAST_ATTEMPTS = 50

_LEFT = (RecipientState.PENDING, RecipientState.HELD, RecipientState.ASSIGNED)

Alike = Counter[tuple[int, int]]
"""Recipients by (lane, SMS parts)."""


def alike_after(conn: sqlite3.Connection, campaign_id: int, after: int) -> tuple[Alike, int | None]:
    """Recipients of the next few thousand, without those who opted out, are blocked or skipped;
    and the last id, None at the end.

    A million are counted in many short reads: nobody else waits for the ledger meanwhile.
    """
    rows = conn.execute(
        # index recipients_campaign: primary-key order
        """
        SELECT lane, parts, count(*) FILTER (WHERE state <> 'skipped'
                AND number NOT IN (SELECT number FROM optouts.optouts)
                AND number NOT IN (SELECT number FROM blocked)) AS n, max(id) AS last FROM (
            SELECT id, lane, parts, number, state FROM recipients
            WHERE campaign_id = ? AND id > ? ORDER BY id LIMIT ?
        ) GROUP BY lane, parts
        """,
        (campaign_id, after, _CHUNK),
    ).fetchall()
    found: Alike = Counter({(row["lane"], row["parts"]): row["n"] for row in rows if row["n"]})
    return found, max((row["last"] for row in rows), default=None)


def all_alike(conn: sqlite3.Connection, campaign_id: int) -> Alike:
    """As `alike_after`, of all recipients."""
    found: Alike = Counter()
    last: int | None = 0
    while last is not None:
        more, last = alike_after(conn, campaign_id, last)
        found += more
    return found


def open_campaigns(
    conn: sqlite3.Connection, besides: int | None
) -> Iterator[tuple[CampaignRow, int]]:
    """Campaigns that want to send, and how many recipients of each are not final yet."""
    for row in list_campaigns(conn, (CampaignState.RUNNING, CampaignState.SCHEDULED)):
        tallies = counts(conn, row.id)
        left = sum(tallies[state] for state in _LEFT)
        if row.id != besides and left:
            yield row, left


def measured_paces(conn: sqlite3.Connection) -> dict[tuple[int, int], float]:
    """Seconds of one SMS part on ports that sent enough lately to tell, by (gateway, port).

    What a port was busy with is the time in which it held a task, whichever; tasks that were in
    doubt tell nothing of the air.
    """
    rows = conn.execute(
        # the primary key, backwards
        """
        SELECT gateway_id, port, accepted_ms, closed_ms, max(parts, size) AS parts FROM (
            SELECT * FROM tasks ORDER BY id DESC LIMIT ?
        ) WHERE state = 'closed' AND doubt IS NULL AND fence IS NULL AND accepted_ms IS NOT NULL
            AND port IS NOT NULL
        ORDER BY gateway_id, port, accepted_ms
        """,
        (_RECENT_TASKS,),
    )
    busy: dict[tuple[int, int], tuple[float, int, int]] = {}
    for gateway_id, port, begins, ends, parts in rows:
        seconds, sent, until = busy.get((gateway_id, port), (0.0, 0, 0))
        seconds += max(0, ends - max(begins, until)) / 1000
        busy[gateway_id, port] = (seconds, sent + parts, max(until, ends))
    return {
        place: seconds / sent
        for place, (seconds, sent, _) in busy.items()
        if sent >= _LEAST_MESSAGES and seconds >= _LEAST_SECONDS
    }


def failure_share(conn: sqlite3.Connection, gateway_ids: list[int]) -> float | None:
    """Which share of the messages that went through these devices lately was refused; None where
    too few did to tell."""
    marks = ", ".join("?" * len(gateway_ids))
    failed, told = conn.execute(
        # the primary keys of both, backwards from the last task
        f"""
        SELECT count(*) FILTER (WHERE a.outcome = 'failed'), count(*)
        FROM (SELECT id, gateway_id FROM tasks ORDER BY id DESC LIMIT ?) AS t
        JOIN attempts AS a ON a.task_id = t.id
        WHERE a.outcome IN ('sent', 'failed') AND t.gateway_id IN ({marks})
        """,
        (_RECENT_TASKS, *gateway_ids),
    ).fetchone()
    return failed / told if told >= _LEAST_ATTEMPTS else None


def keep_forecast(conn: sqlite3.Connection, campaign_id: int, planned: dict[str, Any]) -> None:
    """Store what was planned when a campaign started, once."""
    conn.execute(
        "UPDATE campaigns SET forecast = ? WHERE id = ? AND forecast IS NULL",
        (msgspec.json.encode(planned).decode(), campaign_id),
    )


def kept_forecast(conn: sqlite3.Connection, campaign_id: int) -> dict[str, Any] | None:
    """What was planned when a campaign started; None where nothing was."""
    row = conn.execute("SELECT forecast FROM campaigns WHERE id = ?", (campaign_id,)).fetchone()
    if row is None or row["forecast"] is None:
        return None
    planned: dict[str, Any] = msgspec.json.decode(row["forecast"])
    return planned


def sent_by_port(conn: sqlite3.Connection, campaign_id: int) -> list[dict[str, Any]]:
    """Messages that the network took, and their SMS parts, by gateway and port (as a number)."""
    rows = conn.execute(
        # index recipients_campaign: one pass
        """
        SELECT g.name AS gateway, CAST(r.port AS INTEGER) AS port, count(*) AS recipients,
            sum(r.parts) AS segments
        FROM recipients AS r JOIN gateways AS g ON g.id = r.gateway_id
        WHERE r.campaign_id = ? AND r.state IN ('sent', 'delivered', 'undelivered', 'no_receipt')
        GROUP BY 1, 2 ORDER BY 1, 2
        """,
        (campaign_id,),
    )
    return [dict(row) for row in rows]


def refused_tries(conn: sqlite3.Connection, campaign_id: int) -> int:
    """How many messages of a campaign were refused, each try counted."""
    (failures,) = conn.execute(
        "SELECT coalesce(sum(failures), 0) FROM recipients WHERE campaign_id = ?", (campaign_id,)
    ).fetchone()
    return int(failures)
