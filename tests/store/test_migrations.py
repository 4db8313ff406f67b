"""Migrations: forward only, a copy first, each step whole or not at all, and nothing lost."""

from __future__ import annotations

import re
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from campaign.errors import SchemaError, StoreError
from campaign.store.health import damage, missing_migrations
from campaign.store.lineage import why_old
from campaign.store.opening import APPLICATION_ID, open_ledger, open_migrated, open_reader
from campaign.store.schema import ledger_migrations

NAMES = [migration.name for migration in ledger_migrations._migrations]
EARLIER = NAMES[1:]
"""What a ledger of each earlier version needs first."""

ROWS = """
    INSERT INTO meta VALUES ('epoch', '7'), ('next_tid', '4711'), ('inbox_cursor', '12');
    INSERT INTO gateways (id, name, url, username, secret, token, created_ms)
        VALUES (1, 'gw', 'http://192.0.2.1', 'root', 'env:GW', 'token', 1);
    INSERT INTO campaigns (id, name, state, list_name, message, options, created_ms)
        VALUES (1, 'spring', 'running', 'list.csv', 'hello', '{}', 1);
    INSERT INTO recipients (id, campaign_id, row, number, state) VALUES
        (1, 1, 2, '99900000001', 'assigned'), (2, 1, 3, '99900000002', 'pending'),
        (3, 1, 4, '99900000003', 'delivered');
    INSERT INTO tallies VALUES (1, 'assigned', 1), (1, 'pending', 1), (1, 'delivered', 1);
    INSERT INTO tasks (id, campaign_id, gateway_id, tid, port, state, size, body, sha256, epoch,
                       post_id, created_ms, intent_ms)
        VALUES (1, 1, 1, 4710, 1, 'accepted', 1, x'7b7d', 'digest', 7, 1, 1, 1);
    INSERT INTO attempts (task_id, idx, recipient_id, live) VALUES (1, 1, 1, 1);
    INSERT INTO receipts (gateway_id, port, number, at, code, received_ms)
        VALUES (1, 1, '99900000003', 5, 0, 5);
"""


REPLIES = """
    INSERT INTO inbound (gateway_id, port, at, sender, recipient, text, received_ms) VALUES
        (1, '1.01', 5, '99900000003', '1', 'yes', 5), (1, '1.01', 6, '99900000003', '1', 'no', 6);
"""
"""Before 0003 a reply did not say which way it came."""

SOURCED = """
    INSERT INTO inbound (gateway_id, port, at, sender, recipient, text, source, received_ms)
        VALUES (1, '1.01', 5, '99900000003', '1', 'yes', 'push', 5);
"""


WORDS = [
    ("campaigns", "state"), ("tallies", "state"), ("recipients", "state"),
    ("recipients", "evidence"), ("recipients", "cause"), ("tasks", "state"), ("tasks", "doubt"),
    ("tasks", "fence"), ("attempts", "outcome"), ("attempts", "evidence"), ("gateways", "crypt"),
]  # fmt: skip
"""Columns that hold one of a few words."""


@pytest.fixture
def optouts(tmp_path: Path) -> Path:
    return tmp_path / "user" / "optouts.db"


@pytest.fixture
def earlier(tmp_path: Path) -> Callable[[str], Path]:
    """A ledger as it was before a migration, with rows in it: `earlier("0002_removed")`."""

    def build(before: str) -> Path:
        db = tmp_path / "campaign.db"
        with closing(sqlite3.connect(db, isolation_level=None)) as conn:
            conn.execute("PRAGMA journal_mode = WAL")
            conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            database = Database(conn, execute_plugins=False)
            ledger_migrations.apply(database, stop_before=before)
            replies = REPLIES if before <= "0003_protocol" else SOURCED
            conn.executescript(ROWS + replies)
        return db

    return build


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as conn:
        return list(conn.iterdump())


def contents(conn: sqlite3.Connection, tables: list[str]) -> dict[str, list[dict[str, Any]]]:
    conn.row_factory = sqlite3.Row
    return {
        table: [dict(row) for row in conn.execute(f"SELECT * FROM {table} ORDER BY 1, 2")]
        for table in tables
    }


DROPPED = frozenset({"index_base"})
"""Columns that a migration took away on purpose."""


@pytest.mark.parametrize("first", EARLIER)
def test_a_ledger_of_an_earlier_version_is_migrated_and_loses_nothing(
    earlier: Callable[[str], Path], optouts: Path, first: str
) -> None:
    db = earlier(first)
    tables = [
        "meta", "gateways", "campaigns", "recipients", "tallies", "tasks", "attempts", "inbound",
        "receipts",
    ]  # fmt: skip
    with closing(sqlite3.connect(db)) as conn:
        before = contents(conn, tables)
    conn, migrated = open_migrated(db, optouts)
    with closing(conn):
        after = contents(conn, tables)
        assert missing_migrations(conn) == []
        assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
    assert migrated.applied == tuple(NAMES[NAMES.index(first) :])
    for table in tables:
        assert [
            {column: row.get(column, old[column] if column in DROPPED else None) for column in old}
            for old, row in zip(before[table], after[table], strict=True)
        ] == before[table], table


@pytest.mark.parametrize("first", EARLIER)
def test_the_ledger_as_it_was_is_kept_beside_it_before_anything_changes(
    earlier: Callable[[str], Path], optouts: Path, first: str
) -> None:
    db = earlier(first)
    before = dump(db)
    conn, migrated = open_migrated(db, optouts)
    conn.close()
    copy = db.with_name(f"campaign.db.before-{first}")
    assert migrated.copy == copy
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert [line for line in dump(copy) if "'copied'" not in line] == before
    with closing(open_reader(copy, any_schema=True)) as kept:
        assert "this is a copy of a ledger" in (why_old(kept) or "")
    assert not list(db.parent.glob("*.partial*"))


def test_a_fresh_ledger_and_one_that_is_up_to_date_need_no_copy(
    tmp_path: Path, optouts: Path
) -> None:
    db = tmp_path / "campaign.db"
    for applied in (tuple(NAMES), ()):
        conn, migrated = open_migrated(db, optouts)
        conn.close()
        assert (migrated.applied, migrated.copy) == (applied, None)
    assert not list(tmp_path.glob("*.before-*"))


def test_without_a_copy_nothing_is_migrated_and_the_reason_is_told(
    earlier: Callable[[str], Path], optouts: Path
) -> None:
    db = earlier(NAMES[-1])
    before = dump(db)
    db.with_name(f"campaign.db.before-{NAMES[-1]}").mkdir()
    with pytest.raises(
        StoreError, match=r"no copy of it could be made first .*nothing was changed"
    ):
        open_ledger(db, optouts)
    assert dump(db) == before


def test_a_copy_of_an_attempt_that_was_cut_off_is_made_anew(
    earlier: Callable[[str], Path], optouts: Path
) -> None:
    db = earlier(NAMES[-1])
    copy = db.with_name(f"campaign.db.before-{NAMES[-1]}")
    copy.write_bytes(b"of an earlier attempt")
    copy.with_name(copy.name + ".partial").write_bytes(b"half")
    open_ledger(db, optouts).close()
    with closing(open_reader(copy, any_schema=True)) as kept:
        assert kept.execute("SELECT count(*) FROM recipients").fetchone()[0] == 3


def test_a_reader_of_an_earlier_ledger_says_what_to_do(
    earlier: Callable[[str], Path], optouts: Path
) -> None:
    db = earlier(NAMES[-1])
    with pytest.raises(SchemaError, match="campaign db migrate"):
        open_reader(db, optouts)
    with closing(open_reader(db, optouts, any_schema=True)) as conn:
        assert missing_migrations(conn) == [NAMES[-1]]


def test_a_reader_of_an_empty_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "campaign.db").touch()
    with pytest.raises(SchemaError, match="launch a campaign first"):
        open_reader(tmp_path / "campaign.db")


def test_a_ledger_made_earlier_learns_the_moves_of_today(tmp_path: Path, optouts: Path) -> None:
    db = tmp_path / "campaign.db"
    with closing(open_ledger(db, optouts)) as conn:
        (today,) = conn.execute(
            "SELECT sql FROM sqlite_master WHERE name = 'recipients_moves'"
        ).fetchone()
        conn.execute("DROP TRIGGER recipients_moves")
        conn.execute(today.replace("'unknown'", "'delivered'"))
    with closing(open_ledger(db, optouts)) as conn:
        found = conn.execute("SELECT sql FROM sqlite_master WHERE name = 'recipients_moves'")
        assert found.fetchone()[0] == today


@pytest.mark.parametrize("first", NAMES)
def test_a_ledger_of_any_age_refuses_words_that_the_design_does_not_know(
    earlier: Callable[[str], Path], tmp_path: Path, optouts: Path, first: str
) -> None:
    db = earlier(first) if first in EARLIER else tmp_path / "campaign.db"
    with closing(open_ledger(db, optouts)) as conn:
        if first not in EARLIER:
            conn.executescript(ROWS)
        for table in ("recipients", "tasks"):
            conn.execute(f"DROP TRIGGER {table}_moves")
        for table, column in WORDS:
            with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint"):
                conn.execute(f"UPDATE {table} SET {column} = 'whatever' WHERE true")
        assert damage(conn) == []
        # in a word list SQLite fills a table anew in every statement
        tables = conn.execute("SELECT sql FROM sqlite_master WHERE type IN ('table', 'trigger')")
        assert not [sql for (sql,) in tables if re.search(r"(?<!NOT) IN \(", sql)]


class _CutOff(Exception):
    """The program ends here."""


class _Dying(sqlite3.Connection):
    """A connection whose program ends before its nth statement."""

    left = 10_000

    def execute(self, *args: Any) -> sqlite3.Cursor:
        self.left -= 1
        if self.left < 0:
            raise _CutOff
        return super().execute(*args)


@pytest.mark.parametrize("first", NAMES)
def test_a_migration_cut_off_at_any_statement_leaves_the_schema_before_it(
    earlier: Callable[[str], Path], first: str
) -> None:
    db = earlier(first) if first in EARLIER else None
    following = NAMES[NAMES.index(first) + 1] if first != NAMES[-1] else None
    path = db or Path(":memory:")
    statements = 0
    with closing(sqlite3.connect(path, isolation_level=None, factory=_Dying)) as conn:
        ledger_migrations.ensure_migrations_table(Database(conn, execute_plugins=False))
        before = list(conn.iterdump())
        while True:
            conn.left = statements
            try:
                database = Database(conn, execute_plugins=False)
                ledger_migrations.apply(database, stop_before=following)
            except _CutOff:
                conn.left = 10_000
                if conn.in_transaction:  # a program that ended does not roll back: SQLite does
                    conn.execute("ROLLBACK")
                assert list(conn.iterdump()) == before
                statements += 1
            else:
                break
    assert statements > 10, "it was cut off in its middle"


_KILLED = """
import os, signal, sqlite3, sys
from sqlite_utils import Database
from campaign.store.schema import ledger_migrations

class Dying(sqlite3.Connection):
    def execute(self, *args):
        if args[0].lstrip().startswith(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(*args)

conn = sqlite3.connect(sys.argv[1], isolation_level=None, factory=Dying)
ledger_migrations.apply(Database(conn, execute_plugins=False))
"""


@pytest.mark.parametrize(
    ("first", "statement"),
    [("0002_removed", "CREATE INDEX tasks_closed"), ("0003_protocol", "DROP TABLE inbound_before")],
)
def test_a_process_killed_in_the_middle_of_a_migration_leaves_the_schema_before_it(
    earlier: Callable[[str], Path], optouts: Path, first: str, statement: str
) -> None:
    db = earlier(first)
    before = dump(db)
    done = subprocess.run([sys.executable, "-c", _KILLED, str(db), statement], check=False)
    assert done.returncode == -signal.SIGKILL
    assert dump(db) == before
    open_ledger(db, optouts).close()
