"""The file of one load run: SQLite that anybody can query, read again as it was written.

A file is written beside its place and moved there whole. It carries a digest of its own rows:
a changed byte in the middle of an SQLite file is otherwise read as just another figure.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from sqlite_utils import Database

from campaign.errors import SchemaError, StoreError
from campaign.store.copying import remove_database, sync_file, sync_folder
from campaign.store.trouble import told

_APPLICATION_ID: Final = 0x434C5244  # "CLRD": told apart from a ledger and any other SQLite file
_VERSION: Final = 1

_SCHEMA: Final = (
    # JSON: what was asked for, what was counted, and the summary for whoever looks in with SQL
    "CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    # n latencies of the whole run, microseconds; `packed` holds every one of them
    """
    CREATE TABLE histograms (
        clock TEXT PRIMARY KEY, n INTEGER NOT NULL, p50 INTEGER NOT NULL, p95 INTEGER NOT NULL,
        p99 INTEGER NOT NULL, most INTEGER NOT NULL, packed BLOB NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    # one row a second, counted from 0; in_flight and waiting as of its end
    """
    CREATE TABLE seconds (
        nth INTEGER PRIMARY KEY, due INTEGER NOT NULL, taken INTEGER NOT NULL,
        answered INTEGER NOT NULL, failed INTEGER NOT NULL, dropped INTEGER NOT NULL,
        late INTEGER NOT NULL, in_flight INTEGER NOT NULL, waiting INTEGER NOT NULL
    ) STRICT
    """,
    # n latencies that ended in that second, microseconds
    """
    CREATE TABLE delays (
        nth INTEGER NOT NULL, clock TEXT NOT NULL, n INTEGER NOT NULL, p50 INTEGER NOT NULL,
        p95 INTEGER NOT NULL, p99 INTEGER NOT NULL, most INTEGER NOT NULL, packed BLOB NOT NULL,
        PRIMARY KEY (nth, clock)
    ) STRICT, WITHOUT ROWID
    """,
    # tasks that waited in the device, by second
    "CREATE TABLE queue (nth INTEGER PRIMARY KEY, depth INTEGER NOT NULL) STRICT",
)
_TABLES: Final = ("facts", "histograms", "seconds", "delays", "queue")
_DIGEST: Final = "sha256"


class HistogramRow(NamedTuple):
    """Latencies of one clock in microseconds: some figures, and all of them packed."""

    clock: str
    n: int
    p50: int
    p95: int
    p99: int
    most: int
    packed: bytes


class SecondRow(NamedTuple):
    """What was counted in one second."""

    nth: int
    due: int
    taken: int
    answered: int
    failed: int
    dropped: int
    late: int
    in_flight: int
    waiting: int


class DelayRow(NamedTuple):
    """Latencies of one clock that ended in one second."""

    nth: int
    clock: str
    n: int
    p50: int
    p95: int
    p99: int
    most: int
    packed: bytes


class QueueRow(NamedTuple):
    """How many tasks waited in the device."""

    nth: int
    depth: int


@dataclass(frozen=True)
class LoadRows:
    """A run as its file holds it; `facts` are values that JSON can say."""

    facts: Mapping[str, Any]
    histograms: Sequence[HistogramRow]
    seconds: Sequence[SecondRow]
    delays: Sequence[DelayRow]
    queue: Sequence[QueueRow]


def write_load_file(path: Path, rows: LoadRows) -> None:
    """Write the file, whole or not at all. An earlier result at the same place is replaced.

    Raises `StoreError` when it cannot be written, or when something else stands there: a mistyped
    name must not cost anybody a ledger.
    """
    _refuse_to_replace(path)
    draft = path.with_name(path.name + ".partial")
    try:
        remove_database(draft)
        try:
            _write(draft, rows)
            sync_file(draft)
            draft.replace(path)
            sync_folder(path.parent)
        except BaseException:
            remove_database(draft)
            raise
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"cannot write the result file {path}: {told(error)}") from error


def read_load_file(path: Path) -> LoadRows:
    """Read what `write_load_file` wrote.

    Raises `SchemaError` for a foreign or later file, `StoreError` for a missing or damaged one.
    """
    if not path.is_file():
        raise StoreError(f"there is no result file at {path}: write one with load run --out FILE")
    try:
        with contextlib.closing(_connect(path, "ro")) as conn:
            _identify(conn, path)
            return _read(conn, path)
    except sqlite3.OperationalError as error:
        raise StoreError(f"cannot read the result file {path}: {told(error)}") from error
    except (sqlite3.DatabaseError, ValueError, TypeError) as error:
        raise _damaged(path, str(error)) from error


def _write(draft: Path, rows: LoadRows) -> None:
    os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with contextlib.closing(_connect(draft, "rw")) as conn:
        conn.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        conn.execute(f"PRAGMA user_version = {_VERSION}")
        conn.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA:
            conn.execute(statement)
        for table, columns, values in (
            ("facts", ("key", "value"), [(k, json.dumps(v)) for k, v in rows.facts.items()]),
            ("histograms", HistogramRow._fields, rows.histograms),
            ("seconds", SecondRow._fields, rows.seconds),
            ("delays", DelayRow._fields, rows.delays),
            ("queue", QueueRow._fields, rows.queue),
        ):
            marks = ", ".join("?" * len(columns))
            conn.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", values)
        digest = json.dumps(_digest(conn))
        conn.execute("INSERT INTO facts (key, value) VALUES (?, ?)", (_DIGEST, digest))
        conn.execute("COMMIT")


def _read(conn: sqlite3.Connection, path: Path) -> LoadRows:
    def all_of(table: str, columns: Sequence[str]) -> sqlite3.Cursor:
        # by primary key: the order in which they were digested
        return conn.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY 1, 2")

    conn.execute("BEGIN")
    facts = {key: json.loads(value) for key, value in all_of("facts", ("key", "value"))}
    if facts.pop(_DIGEST, None) != _digest(conn):
        raise _damaged(path, "its rows are not those that were written")
    return LoadRows(
        facts,
        [HistogramRow(*row) for row in all_of("histograms", HistogramRow._fields)],
        [SecondRow(*row) for row in all_of("seconds", SecondRow._fields)],
        [DelayRow(*row) for row in all_of("delays", DelayRow._fields)],
        [QueueRow(*row) for row in all_of("queue", QueueRow._fields)],
    )


def _digest(conn: sqlite3.Connection) -> str:
    """Of every row of every table, but the digest itself."""
    found = hashlib.sha256()
    for table in _TABLES:
        found.update(table.encode())
        for row in conn.execute(f"SELECT * FROM {table} ORDER BY 1, 2"):
            if row[0] != _DIGEST:
                found.update(repr(tuple(row)).encode())
    return found.hexdigest()


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"file:{quote(str(path.absolute()))}?mode={mode}"
    return sqlite3.connect(uri, uri=True, isolation_level=None)


def _identify(conn: sqlite3.Connection, path: Path) -> None:
    try:
        mark = conn.execute("PRAGMA application_id").fetchone()[0]
        version = conn.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        raise SchemaError(f"{path} is not the result of a load run: {error}") from error
    if mark != _APPLICATION_ID:
        raise SchemaError(f"{path} is an SQLite database, but not the result of a load run")
    if version != _VERSION:
        raise SchemaError(
            f"{path} was written by a later version of campaign: upgrade this one first"
        )
    missing = set(_TABLES) - set(Database(conn).table_names())
    if missing:
        raise _damaged(path, f"it has no table {', '.join(sorted(missing))}")


def _refuse_to_replace(path: Path) -> None:
    if not path.exists():
        return
    with contextlib.suppress(sqlite3.Error):
        if path.is_file():
            with contextlib.closing(_connect(path, "ro")) as conn:
                if conn.execute("PRAGMA application_id").fetchone()[0] == _APPLICATION_ID:
                    return
    raise StoreError(f"{path} exists and is no result of a load run: it is kept; name another file")


def _damaged(path: Path, why: str) -> StoreError:
    return StoreError(f"the result file {path} is damaged: {why}; repeat the run, or use a copy")
