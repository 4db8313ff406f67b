"""Opening a ledger: ours or a clear refusal, owner-only, and nothing of others is touched."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from campaign.errors import SchemaError, StoreError
from campaign.store.health import missing_migrations
from campaign.store.opening import open_ledger, open_reader
from campaign.store.optouts import OptOut, add_optouts


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "campaign.db"


@pytest.fixture
def optouts(tmp_path: Path) -> Path:
    return tmp_path / "user" / "optouts.db"


@contextmanager
def opened(db: Path, optouts: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_ledger(db, optouts)) as conn:
        yield conn


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_ledger_survives_power_cuts_by_its_pragmas(db: Path, optouts: Path) -> None:
    with opened(db, optouts) as conn:
        pragmas = {
            name: conn.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_every_file_is_the_owners_alone_whatever_the_umask(db: Path, optouts: Path) -> None:
    umask = os.umask(0)
    try:
        with opened(db, optouts) as conn:
            conn.execute("INSERT INTO meta VALUES ('a', 'b')")
            files = sorted(db.parent.glob("campaign.db*"))
            assert [path.name for path in files] == [
                "campaign.db", "campaign.db-shm", "campaign.db-wal",
            ]  # fmt: skip
            assert [oct(mode(path)) for path in [*files, optouts]] == ["0o600"] * 4
    finally:
        os.umask(umask)


def test_opening_again_keeps_what_is_there(db: Path, optouts: Path) -> None:
    with opened(db, optouts) as conn:
        conn.execute("INSERT INTO meta VALUES ('a', 'b')")
    with opened(db, optouts) as conn:
        assert conn.execute("SELECT value FROM meta").fetchone()["value"] == "b"


def test_an_empty_file_becomes_a_ledger(db: Path, optouts: Path) -> None:
    db.touch()
    with opened(db, optouts) as conn:
        assert conn.execute("SELECT count(*) FROM campaigns").fetchone()[0] == 0


@pytest.mark.parametrize("name", ["my ledger.db", "a#b?c%20.db", "短信.db"])
def test_any_file_name_will_do(tmp_path: Path, optouts: Path, name: str) -> None:
    with opened(tmp_path / "deep" / "folder" / name, optouts):
        assert (tmp_path / "deep" / "folder" / name).exists()


def test_a_directory_is_refused_in_words(tmp_path: Path, optouts: Path) -> None:
    with pytest.raises(StoreError, match="is a directory"):
        open_ledger(tmp_path, optouts)


def test_a_folder_that_cannot_be_made_is_refused_in_words(tmp_path: Path, optouts: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot make the folder"):
        open_ledger(tmp_path / "file" / "campaign.db", optouts)


@pytest.mark.parametrize(
    "garbage", [b"hello", b"number,name\n" * 200, b"\x00" * 5000], ids=["word", "csv", "zeros"]
)
def test_a_file_that_is_no_database_is_refused_and_left_alone(
    db: Path, optouts: Path, garbage: bytes
) -> None:
    db.write_bytes(garbage)
    with pytest.raises(SchemaError, match=r"is not a ledger|not a campaign ledger"):
        open_ledger(db, optouts)
    assert db.read_bytes() == garbage


def test_somebody_elses_database_is_refused_and_left_alone(db: Path, optouts: Path) -> None:
    with closing(sqlite3.connect(db)) as conn:
        conn.execute("CREATE TABLE theirs (a)")
    before = db.read_bytes()
    with pytest.raises(SchemaError, match="not a campaign ledger"):
        open_ledger(db, optouts)
    with pytest.raises(SchemaError, match="not a campaign ledger"):
        open_reader(db)
    assert db.read_bytes() == before


def test_a_ledger_of_a_later_version_is_refused(db: Path, optouts: Path) -> None:
    with opened(db, optouts) as conn:
        conn.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) "
            "VALUES ('campaign.ledger', '9999_later', '2099-01-01')"
        )
    with pytest.raises(SchemaError, match="later version"):
        open_ledger(db, optouts)
    with pytest.raises(SchemaError, match="later version"):
        open_reader(db)


def test_a_reader_sees_commits_and_writes_nothing(db: Path, optouts: Path) -> None:
    with opened(db, optouts) as conn, closing(open_reader(db, optouts)) as reader:
        conn.execute("INSERT INTO meta VALUES ('a', 'b')")
        assert reader.execute("SELECT count(*) FROM meta").fetchone()[0] == 1
        assert reader.execute("SELECT count(*) FROM optouts.optouts").fetchone()[0] == 0
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.execute("DELETE FROM meta")


def test_a_reader_of_nothing_says_what_to_do(db: Path) -> None:
    with pytest.raises(StoreError, match="launch a campaign first"):
        open_reader(db)
    assert not db.exists()


def test_a_reader_does_without_an_opt_out_store(db: Path, optouts: Path) -> None:
    with opened(db, optouts), closing(open_reader(db, db.with_name("none.db"))) as reader:
        assert reader.execute("SELECT count(*) FROM meta").fetchone()[0] == 0


def test_opt_outs_added_later_are_seen_and_cannot_be_written_through_the_ledger(
    db: Path, optouts: Path
) -> None:
    with opened(db, optouts) as conn:
        add_optouts(optouts, [OptOut("99900000001", 1, "operator")])
        assert conn.execute("SELECT number FROM optouts.optouts").fetchone()[0] == "99900000001"
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            conn.execute("DELETE FROM optouts.optouts")


def test_an_opt_out_store_that_is_none_is_refused_when_the_ledger_opens(
    db: Path, optouts: Path
) -> None:
    optouts.parent.mkdir()
    optouts.write_bytes(b"number\n" * 300)
    with pytest.raises(StoreError, match="opt-out store"):
        open_ledger(db, optouts)


def test_a_ledger_that_cannot_be_read_is_not_called_foreign(db: Path, optouts: Path) -> None:
    with opened(db, optouts):
        pass
    db.with_name("campaign.db-wal").mkdir()
    with pytest.raises(StoreError, match="unable to open") as writing:
        open_ledger(db, optouts)
    with pytest.raises(StoreError, match="unable to open") as reading:
        open_reader(db)
    assert {type(writing.value), type(reading.value)} == {StoreError}


def test_a_locked_ledger_is_not_taken_for_one_that_was_never_migrated(
    db: Path, optouts: Path
) -> None:
    with opened(db, optouts) as conn:
        conn.execute("PRAGMA journal_mode = DELETE")
    with closing(sqlite3.connect(db, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with (
            closing(sqlite3.connect(db, timeout=0)) as reader,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            missing_migrations(reader)
