"""What waits and what is queued: the figures a dispatcher's turn begins with.

Neither question costs more for more recipients: one reads the tallies, the other live tasks.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from campaign.planner.states import RecipientState, TaskState

_MOST = 10_000


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
    """Messages in flight of one campaign on one port, in tasks of one state."""

    campaign_id: int
    port: int
    state: TaskState
    messages: int


def backlog(conn: sqlite3.Connection, campaign_ids: Collection[int]) -> Backlog:
    """What these campaigns have left, in one reading."""
    in_flight: dict[int, int] = dict(
        # index tallies_assigned
        conn.execute("SELECT campaign_id, n FROM tallies WHERE state = 'assigned' AND n > 0")
    )
    work: dict[int, Work] = {}
    for id_ in campaign_ids:
        waiting: dict[str, int] = dict(
            conn.execute(
                """
                SELECT state, n FROM tallies
                WHERE campaign_id = ? AND state IN ('pending', 'held')
                """,
                (id_,),
            )
        )
        if waiting.get(RecipientState.PENDING):
            waiting |= _in_the_sample(conn, id_)
        due: int | None = None
        if waiting.get(RecipientState.HELD):
            (due,) = conn.execute(
                # index recipients_held
                "SELECT min(due_ms) FROM recipients WHERE campaign_id = ? AND state = 'held'",
                (id_,),
            ).fetchone()
        work[id_] = Work(waiting.get(RecipientState.PENDING, 0), in_flight.get(id_, 0), due)
    return Backlog(work, sum(in_flight.values()))


def _in_the_sample(conn: sqlite3.Connection, campaign_id: int) -> dict[str, int]:
    """While the first recipients are on trial only they can go: how many of them wait, no more
    than matter for one turn."""
    row = conn.execute(
        "SELECT sample_end FROM campaigns WHERE id = ? AND sampled = 0", (campaign_id,)
    ).fetchone()
    if row is None or row["sample_end"] is None:
        return {}
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
        {"campaign": campaign_id, "last": row["sample_end"], "most": _MOST},
    ).fetchone()
    return {RecipientState.PENDING: waiting}


def queued(conn: sqlite3.Connection, gateway_id: int) -> list[Queued]:
    """Messages in flight on a device by campaign, port and state of their task (index tasks_live).

    A task without a live attempt is there with 0: it is still to be closed.
    """
    rows = conn.execute(
        """
        SELECT t.campaign_id, t.port, t.state, count(a.task_id)
        FROM tasks AS t LEFT JOIN attempts AS a ON a.task_id = t.id AND a.live = 1
        WHERE t.gateway_id = ? AND t.state <> 'closed' GROUP BY 1, 2, 3
        """,
        (gateway_id,),
    )
    return [Queued(row[0], row[1], TaskState(row[2]), row[3]) for row in rows]
