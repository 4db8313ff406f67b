"""The inbox: what devices pushed, byte for byte, in the order it was committed.

It is a database of its own beside the ledger, so that the receiver outlives a crashing engine.
Only the receiver writes it (`InboxWriter`); the engine reads it (`InboxReader`, opened `mode=ro`,
because a reader that may write would checkpoint and delete the WAL when it closes last).

Ids only grow, even after a purge. The random `file_id` tells a reader with a stored cursor that
this is another file than the one its cursor belongs to.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from campaign.errors import SchemaError, StoreError
from campaign.store.copying import copy_into_place
from campaign.store.health import damage, journal_of
from campaign.store.trouble import told

# "CAMi": tells an inbox from a ledger and from a stranger's database.
_APPLICATION_ID = 0x43414D69
_VERSION = 1

_SCHEMA = (
    """
    CREATE TABLE inbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        gateway_id INTEGER NOT NULL,
        received_ms INTEGER NOT NULL,
        remote TEXT NOT NULL,
        content_type TEXT NOT NULL,
        query TEXT NOT NULL,
        body BLOB NOT NULL
    ) STRICT
    """,
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """One push as it came in.

    `body` is the raw request body; a push without one (the old GET form) carries its raw query
    string here, so a body is never empty. `query` is the raw query string in any case.
    """

    gateway_id: int
    received_ms: int
    remote: str
    content_type: str
    query: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxRow(Arrived):
    """A committed push; `id` grows in commit order."""

    id: int


@dataclass(frozen=True, slots=True)
class ReceiverBinding:
    """Where the receiver of this inbox listens; host and port stay for the inbox's life.

    `allow` is whom it hears, as ranges in one line; None: nobody has said yet. `pid` is the process
    that bound it last: it tells a running receiver's binding from a memory.
    """

    host: str
    port: int
    public_url: str | None = None
    pid: int = 0
    allow: str | None = None


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"inbox {path}: {told(error)}") from error


class Inbox:
    """What reader and writer share: one connection and the questions both may ask."""

    def __init__(self, path: Path, connection: sqlite3.Connection, file_id: str) -> None:
        self.path = path
        self._connection = connection
        self._file_id = file_id

    @property
    def file_id(self) -> str:
        """Random, drawn when the file was created."""
        return self._file_id

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def last_id(self) -> int:
        """The highest id ever given out, 0 in a fresh inbox; a purge does not lower it."""
        with _translated(self.path):
            row = self._connection.execute(
                "SELECT seq FROM sqlite_sequence WHERE name = 'inbox'"
            ).fetchone()
        return int(row[0]) if row else 0

    def count(self) -> int:
        """How many pushes it holds."""
        with _translated(self.path):
            return int(self._connection.execute("SELECT count(*) FROM inbox").fetchone()[0])

    def holds(self, row: InboxRow) -> bool:
        """Whether this very push lies here under this very id."""
        with _translated(self.path):
            found = self._connection.execute(
                "SELECT gateway_id, received_ms, remote, content_type, query, body"
                " FROM inbox WHERE id = ?",
                (row.id,),
            ).fetchone()
        return found is not None and tuple(found) == (
            row.gateway_id, row.received_ms, row.remote, row.content_type, row.query, row.body,
        )  # fmt: skip

    def rows_after(self, cursor: int, limit: int) -> list[InboxRow]:
        """At most `limit` rows with an id above `cursor`, in id order (the primary key)."""
        with _translated(self.path):
            found = self._connection.execute(
                "SELECT id, gateway_id, received_ms, remote, content_type, query, body"
                " FROM inbox WHERE id > ? ORDER BY id LIMIT ?",
                (cursor, limit),
            ).fetchall()
        return [
            InboxRow(
                id=row_id,
                gateway_id=gateway_id,
                received_ms=received_ms,
                remote=remote,
                content_type=content_type,
                query=query,
                body=body,
            )
            for row_id, gateway_id, received_ms, remote, content_type, query, body in found
        ]

    def binding(self) -> ReceiverBinding | None:
        """Where the receiver was first bound; None before that."""
        with _translated(self.path):
            stored = dict(
                self._connection.execute(
                    "SELECT key, value FROM meta WHERE key IN"
                    " ('listen_host', 'listen_port', 'public_url', 'listen_pid', 'allow')"
                ).fetchall()
            )
        if "listen_host" not in stored or "listen_port" not in stored:
            return None
        return ReceiverBinding(
            stored["listen_host"],
            int(stored["listen_port"]),
            stored.get("public_url"),
            int(stored.get("listen_pid", 0)),
            stored.get("allow"),
        )


class InboxWriter(Inbox):
    """The receiver's end. One at a time: the caller holds the inbox's lock."""

    def __init__(self, path: Path, connection: sqlite3.Connection, file_id: str) -> None:
        super().__init__(path, connection, file_id)
        self._opened = _place(path)

    @classmethod
    def open(cls, path: Path, nonce: Callable[[int], str]) -> Self:
        """Open the inbox, creating it whole (and 0600) where there is none.

        `nonce(n)` gives n random bytes in hex, for a new file's id. StoreError if the file cannot
        be used, SchemaError if it is no inbox.
        """
        with _translated(path):
            if not path.exists() or path.stat().st_size == 0:
                _create(path, nonce(16))
            path.chmod(0o600)
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        return cls(path, connection, _identify(path, connection, "synchronous = FULL"))

    def append_many(self, rows: Sequence[Arrived]) -> int:
        """Commit all rows durably in one transaction, or none; returns the last id."""
        last = self.last_id()
        with self._transaction() as connection:
            for row in rows:
                cursor = connection.execute(
                    "INSERT INTO inbox (gateway_id, received_ms, remote, content_type, query, body)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        row.gateway_id,
                        row.received_ms,
                        row.remote,
                        row.content_type,
                        row.query,
                        row.body,
                    ),
                )
                last = cursor.lastrowid or last
        return last

    def bind_to(self, binding: ReceiverBinding) -> None:
        """Remember where the receiver listens and whom it hears; an absent public URL or `allow`
        leaves the stored one."""
        values = {
            "listen_host": binding.host,
            "listen_port": str(binding.port),
            "listen_pid": str(binding.pid),
        }
        if binding.public_url is not None:
            values["public_url"] = binding.public_url
        if binding.allow is not None:
            values["allow"] = binding.allow
        with self._transaction() as connection:
            connection.executemany(
                "INSERT INTO meta (key, value) VALUES (?, ?)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                values.items(),
            )

    def purge(self, before_id: int) -> int:
        """Delete the rows below `before_id`; returns how many. Their ids are never used again."""
        with self._transaction() as connection:
            return connection.execute("DELETE FROM inbox WHERE id < ?", (before_id,)).rowcount

    def is_in_place(self) -> bool:
        """Whether the path still leads to the file this writer has open.

        Commits into a deleted or replaced file would be acknowledged and lost.
        """
        try:
            return _place(self.path) == self._opened
        except OSError:
            return False

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with _translated(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            finally:
                # Some failures (a full disk) have already rolled back, others have not.
                if self._connection.in_transaction:
                    with suppress(sqlite3.Error):
                        self._connection.execute("ROLLBACK")


class InboxReader(Inbox):
    """Anybody else's end; cannot write, checkpoint or delete anything."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """StoreError if there is no such file, SchemaError if it is no inbox."""
        with _translated(path):
            connection = sqlite3.connect(
                _read_only(path), uri=True, isolation_level=None, check_same_thread=False
            )
        return cls(path, connection, _identify(path, connection, "query_only = ON"))

    def copy_to(self, place: Path) -> None:
        """Write all it holds now to the new file `place`, whole and durable."""
        with _translated(place):
            copy_into_place(self._connection, place)

    def faults(self) -> list[str]:
        """What SQLite finds wrong in the file; nothing when it is whole."""
        with _translated(self.path):
            return damage(self._connection)

    def journal(self) -> tuple[str, int]:
        """(journal mode, synchronous) as this connection sees them."""
        with _translated(self.path):
            return journal_of(self._connection)

    def data_version(self) -> int:
        """Changes whenever somebody else has committed since the last call."""
        with _translated(self.path):
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])


def _place(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _read_only(path: Path) -> str:
    return f"file:{quote(str(path))}?mode=ro"


def _create(path: Path, file_id: str) -> None:
    """Build the file beside its place and move it there: nobody ever sees half an inbox."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(draft, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.execute("INSERT INTO meta (key, value) VALUES ('file_id', ?)", (file_id,))
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {_VERSION}")
        connection.execute("COMMIT")
    finally:
        connection.close()
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _identify(path: Path, connection: sqlite3.Connection, pragma: str) -> str:
    """Set up a fresh connection and read the file's id; closes it if this is no inbox."""
    try:
        with _translated(path):
            connection.execute("PRAGMA busy_timeout = 5000")
            connection.execute(f"PRAGMA {pragma}")
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
        if application != _APPLICATION_ID:
            raise SchemaError(f"{path} is not an inbox of this program")
        if version != _VERSION:
            raise SchemaError(f"inbox {path} was written by a later version (format {version})")
        with _translated(path):
            return _read_file_id(connection)
    except StoreError:
        connection.close()
        raise


def _read_file_id(connection: sqlite3.Connection) -> str:
    return str(connection.execute("SELECT value FROM meta WHERE key = 'file_id'").fetchone()[0])
