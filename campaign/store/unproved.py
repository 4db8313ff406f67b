"""Recipients with an attempt that was never proved to be anything, though they were sent to again.

A decision permits one more attempt after an unknown one. Until that one is reported sent, the
earlier one stands: such a recipient cannot be called failed, cancelled or skipped, for it may have
been sent to. It is `unknown` again, as ambiguous: of its attempts some are known and one is not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from campaign.planner.states import RecipientState

_RELEASED = "released"


def is_released(verdict: str | None) -> bool:
    """Whether a task with this verdict was closed because its open places are proved unsent."""
    return (verdict or "").startswith(_RELEASED)


def not_released(task: str) -> str:
    """SQL: the task under this alias was not closed as proved unsent."""
    return f"coalesce({task}.verdict, '') NOT LIKE '{_RELEASED}%'"


def unproved(attempt: str, task: str) -> str:
    """SQL: an attempt (by alias, beside its task) that is over, and nobody knows whether it went
    out: a timeout, or no outcome at all. A released attempt never was one."""
    return f"""
        ({attempt}.live = 0 AND ({attempt}.outcome = 'timeout' OR ({attempt}.outcome IS NULL
            AND {task}.state = 'closed' AND {not_released(task)})))
    """


UNPROVED = f"""
    EXISTS (SELECT 1 FROM attempts AS u JOIN tasks AS v ON v.id = u.task_id
            WHERE u.recipient_id = recipients.id AND {unproved("u", "v")})
"""
"""Of a row of `recipients`, by index attempts_recipient."""

EARLIER = "an earlier attempt may have gone out"


def is_unproved(conn: sqlite3.Connection, recipient_id: int) -> bool:
    """Whether an attempt of this recipient that is over may have gone out, for all we know."""
    row = conn.execute(
        f"SELECT 1 FROM recipients WHERE id = ? AND attempts > 0 AND {UNPROVED}", (recipient_id,)
    )
    return row.fetchone() is not None


def unproved_waiting(
    conn: sqlite3.Connection, campaign_id: int, state: RecipientState
) -> list[int]:
    """Those of a campaign in a state whose earlier attempt may have gone out, by id."""
    rows = conn.execute(
        f"""
        SELECT id FROM recipients WHERE campaign_id = ? AND state = ? AND attempts > 0
            AND {UNPROVED} ORDER BY id
        """,
        (campaign_id, state),
    )
    return [row["id"] for row in rows]


def back_to_unknown(conn: sqlite3.Connection, recipient_ids: Sequence[int], why: str) -> None:
    """pending, held or assigned -> unknown: nobody sends to them now, and the earlier attempt
    stands. The caller counts them."""
    # the ledger's trigger knows no way from waiting to unknown but the one by which they came
    for state in ("pending", "assigned", "unknown"):
        conn.executemany(
            """
            UPDATE recipients SET state = ?, due_ms = NULL, cause = 'ambiguous', evidence = 'none',
                reason = ? WHERE id = ? AND state <> 'unknown'
                AND (? <> 'pending' OR state = 'held')
            """,
            [(state, f"{why}; {EARLIER}", id_, state) for id_ in recipient_ids],
        )
