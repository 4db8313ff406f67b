"""The witness beside a ledger: what each commit changed, told by triggers of its own.

The triggers are temporary: they exist in the engine's connection only, and change nothing in the
ledger. Looking at what a commit touched, instead of at everything, is what makes it possible to
check the invariants after every single one.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

_TRIGGERS = """
    CREATE TEMP TABLE touched (kind TEXT, a INTEGER, b INTEGER, old TEXT, new TEXT);
    CREATE TEMP TRIGGER w1 AFTER UPDATE OF state ON main.recipients WHEN OLD.state <> NEW.state
        BEGIN INSERT INTO touched VALUES ('recipient', NEW.id, 0, OLD.state, NEW.state); END;
    CREATE TEMP TRIGGER w2 AFTER INSERT ON main.tasks
        BEGIN INSERT INTO touched VALUES ('task', NEW.id, 0, NULL, NEW.state); END;
    CREATE TEMP TRIGGER w3 AFTER UPDATE ON main.tasks
        BEGIN INSERT INTO touched VALUES ('task', NEW.id, 0, OLD.state, NEW.state); END;
    CREATE TEMP TRIGGER w4 AFTER INSERT ON main.attempts
        BEGIN INSERT INTO touched VALUES ('intent', NEW.task_id, NEW.idx, NULL, NULL); END;
    CREATE TEMP TRIGGER w5 AFTER UPDATE ON main.attempts
        BEGIN INSERT INTO touched VALUES
            ('attempt', NEW.task_id, NEW.idx, OLD.outcome, NEW.outcome); END;
    CREATE TEMP TRIGGER w6 AFTER DELETE ON main.recipients WHEN OLD.state <> 'pending'
        BEGIN INSERT INTO touched VALUES ('deleted', OLD.id, 0, OLD.state, NULL); END;
"""


@dataclass(frozen=True)
class Touched:
    """One row that a commit changed: `kind` recipient, task, intent, attempt or deleted."""

    kind: str
    a: int
    b: int
    old: str | None
    new: str | None


def watch(conn: sqlite3.Connection) -> None:
    conn.executescript(_TRIGGERS)


def touched(conn: sqlite3.Connection) -> list[Touched]:
    """What was changed since the last call."""
    rows = conn.execute("SELECT kind, a, b, old, new FROM touched ORDER BY rowid").fetchall()
    if rows:
        conn.execute("DELETE FROM touched")
    return [Touched(*row) for row in rows]
