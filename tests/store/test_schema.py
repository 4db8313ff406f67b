"""The schema refuses what the design does not know: every illegal move, every impossible row."""

from __future__ import annotations

import itertools
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from sqlite_utils import Database

from campaign.planner.states import RECIPIENT_MOVES, TASK_MOVES, RecipientState, TaskState
from campaign.store.schema import ledger_migrations

_COLUMNS = {
    RecipientState.HELD: "due_ms = 1",
    RecipientState.UNKNOWN: "cause = 'silence', due_ms = NULL",
}


def put_recipient(ledger: Any, state: RecipientState) -> int:
    ledger.campaign(0)
    row = ledger.conn.execute(
        """
        INSERT INTO recipients (campaign_id, row, number, state, due_ms, cause)
        VALUES (1, 1, '99900000001', ?, ?, ?) RETURNING id
        """,
        (
            state,
            1 if state is RecipientState.HELD else None,
            "silence" if state is RecipientState.UNKNOWN else None,
        ),
    ).fetchone()
    return int(row["id"])


def put_task(ledger: Any, state: TaskState) -> int:
    ledger.campaign(0)
    ledger.gateway()
    closed = 1 if state is TaskState.CLOSED else None
    row = ledger.conn.execute(
        """
        INSERT INTO tasks (campaign_id, gateway_id, tid, port, state, size, body, sha256, epoch,
                           post_id, created_ms, intent_ms, closed_ms, fence)
        VALUES (1, 1, 7, 1, ?, 1, x'7b7d', '', 1, 1, 0, 1, ?, 'cancel') RETURNING id
        """,
        (state, closed),
    ).fetchone()
    return int(row["id"])


@pytest.fixture
def undone(ledger: Any) -> Any:
    """The ledger within a transaction that is undone: rows without tallies break no law."""
    ledger.conn.execute("BEGIN")
    ledger.do = lambda fn, *args, **kwargs: fn(ledger.conn, *args, **kwargs)
    yield ledger
    if ledger.conn.in_transaction:
        ledger.conn.execute("ROLLBACK")


@pytest.mark.parametrize(
    ("old", "new"), list(itertools.permutations(RecipientState, 2)), ids=lambda state: str(state)
)
def test_a_recipient_moves_only_as_the_table_says(
    undone: Any, old: RecipientState, new: RecipientState
) -> None:
    recipient_id = put_recipient(undone, old)
    change = f"UPDATE recipients SET state = ?, {_COLUMNS.get(new, 'due_ms = NULL')} WHERE id = ?"
    if (old, new) in RECIPIENT_MOVES:
        undone.conn.execute(change, (new, recipient_id))
        return
    with pytest.raises(sqlite3.IntegrityError, match="illegal move in recipients"):
        undone.conn.execute(change, (new, recipient_id))


@pytest.mark.parametrize(
    ("old", "new"), list(itertools.permutations(TaskState, 2)), ids=lambda state: str(state)
)
def test_a_task_moves_only_as_the_table_says(undone: Any, old: TaskState, new: TaskState) -> None:
    task_id = put_task(undone, old)
    closed = 1 if new is TaskState.CLOSED else None
    change = "UPDATE tasks SET state = ?, closed_ms = ? WHERE id = ?"
    if (old, new) in TASK_MOVES:
        undone.conn.execute(change, (new, closed, task_id))
        return
    with pytest.raises(sqlite3.IntegrityError, match="illegal move in tasks"):
        undone.conn.execute(change, (new, closed, task_id))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("UPDATE recipients SET due_ms = 5", id="due-but-not-held"),
        pytest.param("UPDATE recipients SET state = 'held'", id="held-but-never-due"),
        pytest.param("UPDATE recipients SET evidence = 'rumour'", id="no-such-evidence"),
        pytest.param("UPDATE recipients SET cause = 'weather'", id="no-such-cause"),
        pytest.param("UPDATE recipients SET number = '+999'", id="number-with-plus"),
        pytest.param("UPDATE recipients SET number = '12'", id="number-too-short"),
        pytest.param("UPDATE recipients SET attempts = 'many'", id="strict-types"),
        pytest.param("UPDATE tallies SET n = -1", id="negative-tally"),
        pytest.param("UPDATE tasks SET tid = 2147483648", id="tid-too-large"),
        pytest.param("UPDATE tasks SET tid = 0", id="tid-zero"),
        pytest.param("UPDATE tasks SET size = 0", id="empty-task"),
        pytest.param("UPDATE tasks SET intent_ms = NULL", id="posted-without-intent"),
        pytest.param("UPDATE tasks SET closed_ms = 1", id="closed-but-live"),
        pytest.param("UPDATE attempts SET idx = 0", id="places-count-from-one"),
        pytest.param("UPDATE attempts SET outcome = 'maybe'", id="no-such-outcome"),
        pytest.param("UPDATE attempts SET task_id = 99", id="attempt-of-no-task"),
        pytest.param("UPDATE gateways SET crypt = 'rot13'", id="no-such-cipher"),
        pytest.param("INSERT INTO incidents VALUES (1, 1, 'x', 1, 1, 1, 1, '')", id="incident"),
    ],
)
def test_a_row_that_cannot_be_is_refused(ledger: Any, change: str) -> None:
    ledger.claim_one(ledger.campaign(1))
    with pytest.raises(sqlite3.IntegrityError):
        ledger.conn.execute(change)


def test_deciding_queries_use_their_indexes(ledger: Any) -> None:
    def plan(sql: str) -> str:
        rows = ledger.conn.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
        return " / ".join(row["detail"] for row in rows)

    claim = plan(
        "SELECT id FROM recipients WHERE campaign_id = 1 AND lane = 0 AND state = 'pending'"
        " ORDER BY id LIMIT 5"
    )
    assert "recipients_pending" in claim
    assert "TEMP B-TREE" not in claim
    assert "recipients_held" in plan(
        "SELECT min(due_ms) FROM recipients WHERE campaign_id = 1 AND state = 'held'"
    )
    assert "tasks_live" in plan("SELECT * FROM tasks WHERE gateway_id = 1 AND closed_ms IS NULL")
    assert "tasks_tid" in plan("SELECT * FROM tasks WHERE gateway_id = 1 AND tid = 5")


@pytest.mark.parametrize(
    ("outcome", "evidence", "program", "told"),
    [
        (None, "none", None, 0),
        ("sent", "report", None, 4),
        ("sent", "report", 7, 6),
        ("sent", "report", 6, 5),
        ("failed", "report", 7, 2),
        ("timeout", "report", None, 1),
        ("sent", "receipt", None, 0),
        ("sent", "receipt", 7, 2),
        ("sent", "receipt", 6, 1),
        ("sent", "inferred", None, 0),
        ("failed", "accepted", 8, 0),
    ],
)
def test_what_reports_told_of_a_place_is_read_off_earlier_ledgers(
    outcome: str | None, evidence: str, program: int | None, told: int
) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as conn:
        conn.row_factory = sqlite3.Row
        db = Database(conn, execute_plugins=False)
        ledger_migrations.apply(db, stop_before="0004_told")
        conn.execute(
            "INSERT INTO gateways (name, url, username, secret, token, index_base, created_ms)"
            " VALUES ('gw', 'http://192.0.2.1', 'root', 'env:GW', 'token', 1, 1)"
        )
        conn.execute(
            "INSERT INTO attempts (task_id, idx, recipient_id, live, outcome, evidence, program)"
            " VALUES (1, 1, 1, 0, ?, ?, ?)",
            (outcome, evidence, program),
        )
        ledger_migrations.apply(db)
        assert conn.execute("SELECT told FROM attempts").fetchone()["told"] == told
        assert "index_base" not in dict(conn.execute("SELECT * FROM gateways").fetchone())
