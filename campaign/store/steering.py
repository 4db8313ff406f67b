"""Pauses and resumes that a device was asked for: written down before it is asked."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence


def note_steered(conn: sqlite3.Connection, task_ids: Sequence[int], now_ms: int) -> None:
    """These are about to be paused or resumed: from now on it may happen, answer or not."""
    conn.executemany(
        "UPDATE tasks SET steered_ms = ? WHERE id = ?", [(now_ms, task_id) for task_id in task_ids]
    )


def settle_steered(conn: sqlite3.Connection, in_doubt: Iterable[tuple[int, int | None]]) -> None:
    """(task id, when an earlier request went unanswered that may be carried out yet, in ms): the
    device answered the last one."""
    conn.executemany(
        "UPDATE tasks SET steered_ms = ? WHERE id = ?",
        [(since, task_id) for task_id, since in in_doubt],
    )
