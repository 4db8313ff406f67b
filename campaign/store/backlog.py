"""What waits and what is queued: the figures a dispatcher's turn begins with.

Neither question costs more for more recipients: one reads the tallies, the other live tasks.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from campaign.planner.states import RecipientState, TaskState

_MOST = 10_000
_STATES = {str(state): state for state in TaskState}


@dataclass(frozen=True, slots=True)
class Work:
    """What one campaign has left: `due_ms` is when its next held recipient may be tried."""

    pending: int = 0
    in_flight: int = 0
    due_ms: int | None = None


@dataclass(frozen=True)
class Backlog:
    """What campaigns have left; `in_flight` is of all there are, for they share the ports."""

    work: Mapping[int, Work]
    in_flight: int


@dataclass(frozen=True, slots=True)
class Queued:
    """Messages in flight of one campaign and lane on one port, in tasks of one state."""

    campaign_id: int
    port: int
    state: TaskState
    messages: int
    lane: int = 0


def backlog(conn: sqlite3.Connection, campaign_ids: Collection[int]) -> Backlog:
    """What these campaigns have left, in one reading."""
    in_flight: dict[int, int] = dict(
        # index tallies_assigned
        conn.execute("SELECT campaign_id, n FROM tallies WHERE state = 'assigned' AND n > 0")
    )
    pending: dict[int, int] = {}
    due: dict[int, int] = {}
    rows = conn.execute(
        # by the primary keys of both
        """
        SELECT c.id, t.state, t.n, CASE WHEN c.sampled = 0 THEN c.sample_end END AS last
        FROM json_each(?) AS chosen JOIN campaigns AS c ON c.id = chosen.value
        JOIN tallies AS t ON t.campaign_id = c.id AND t.state IN ('pending', 'held')
        WHERE t.n > 0
        """,
        (json.dumps(list(campaign_ids)),),
    ).fetchall()
    for id_, state, waiting, last in rows:
        if state == RecipientState.HELD:
            due[id_] = _next_due(conn, id_)
        else:
            pending[id_] = waiting if last is None else _in_the_sample(conn, id_, last)
    work = {
        id_: Work(pending.get(id_, 0), in_flight.get(id_, 0), due.get(id_)) for id_ in campaign_ids
    }
    return Backlog(work, sum(in_flight.values()))


def _next_due(conn: sqlite3.Connection, campaign_id: int) -> int:
    (due,) = conn.execute(
        # index recipients_held
        "SELECT min(due_ms) FROM recipients WHERE campaign_id = ? AND state = 'held'",
        (campaign_id,),
    ).fetchone()
    return int(due)


def _in_the_sample(conn: sqlite3.Connection, campaign_id: int, last: int) -> int:
    """While the first recipients are on trial, up to the one with the id `last`, only they can go:
    how many of them wait, no more than matter for one turn."""
    (waiting,) = conn.execute(
        # index recipients_pending, lane by lane
        """
        SELECT coalesce(sum((
            SELECT count(*) FROM (
                SELECT 1 FROM recipients AS r WHERE r.campaign_id = :campaign
                    AND r.lane = chosen.lane AND r.state = 'pending' AND r.id <= :last LIMIT :most)
            )), 0)
        FROM (SELECT 0 AS lane UNION SELECT lane FROM lanes WHERE campaign_id = :campaign) AS chosen
        """,
        {"campaign": campaign_id, "last": last, "most": _MOST},
    ).fetchone()
    return int(waiting)


def queued(conn: sqlite3.Connection, gateway_id: int) -> list[Queued]:
    """Messages in flight on a device by campaign, port, state and lane of their task (index
    tasks_live).

    A task without a live attempt is there with 0: it is still to be closed.
    """
    rows = conn.execute(
        """
        SELECT t.campaign_id, t.port, t.state, count(a.task_id), t.lane
        FROM tasks AS t INDEXED BY tasks_live -- by itself SQLite walks over all that are closed
        LEFT JOIN attempts AS a ON a.task_id = t.id AND a.live = 1
        WHERE t.gateway_id = ? AND t.closed_ms IS NULL GROUP BY 1, 2, 3, 5
        """,
        (gateway_id,),
    )
    return [Queued(row[0], row[1], _STATES[row[2]], row[3], row[4]) for row in rows]
