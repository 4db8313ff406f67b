"""Backups: whole or not there at all, complete in the right order, and nothing to send with."""

from __future__ import annotations

import stat
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from campaign.env import Env
from campaign.errors import StoreError, UsageError
from campaign.service.backups import back_up
from campaign.service.locks import FileLock
from campaign.service.site import Site
from campaign.store.door import transaction
from campaign.store.inbox import Arrived, InboxReader, InboxWriter
from campaign.store.journal import write_meta
from campaign.store.lineage import why_old
from campaign.store.opening import open_ledger, open_reader
from campaign.store.paths import LedgerPaths


@pytest.fixture
def site(tmp_path: Path) -> Site:
    env = Env(wall=lambda: datetime(2026, 3, 2, 10, 0, tzinfo=UTC))
    return Site(LedgerPaths.beside(tmp_path / "c.db"), tmp_path / "user" / "o.db", env)


def push(body: bytes) -> Arrived:
    return Arrived(
        gateway_id=1, received_ms=1, remote="", content_type="", query="", body=body
    )  # fmt: skip


def test_a_backup_beside_a_running_engine_and_receiver_holds_all_that_is_committed(
    site: Site,
) -> None:
    engine, receiver = FileLock(site.paths.lock), FileLock(site.paths.inbox_lock)
    assert engine.acquire()
    assert receiver.acquire()
    with (
        closing(open_ledger(site.paths.db, site.optouts)) as conn,
        InboxWriter.open(site.paths.inbox, site.env.nonce) as inbox,
    ):
        inbox.append_many([push(b"1"), push(b"2")])
        with transaction(conn):
            write_meta(conn, {"inbox_file": inbox.file_id, "inbox_cursor": "2"})
        inbox.append_many([push(b"3")])
        conn.execute("BEGIN IMMEDIATE")  # the engine is in the middle of a transaction
        conn.execute("INSERT INTO meta VALUES ('half', 'done')")
        done = back_up(site, None)
        conn.execute("COMMIT")
    assert done.folder == site.paths.db.with_name("c.db.backup-20260302T100000Z")
    assert [path.name for path in sorted(done.folder.iterdir())] == ["c.db", "c.inbox.db"]
    with closing(open_reader(done.folder / "c.db")) as conn:
        meta = dict(conn.execute("SELECT key, value FROM meta").fetchall())
    assert meta["inbox_cursor"] == "2"
    assert "half" not in meta
    with InboxReader.open(done.folder / "c.inbox.db") as copy:
        assert [row.body for row in copy.rows_after(0, 9)] == [b"1", b"2", b"3"]
        assert copy.file_id == meta["inbox_file"]
    engine.release()
    receiver.release()


def test_every_file_of_it_is_the_owners_alone(site: Site) -> None:
    open_ledger(site.paths.db, site.optouts).close()
    done = back_up(site, None)
    assert stat.S_IMODE(done.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(item.file.stat().st_mode) for item in done.files} == {0o600}


def test_it_says_what_was_copied(site: Site) -> None:
    open_ledger(site.paths.db, site.optouts).close()
    InboxWriter.open(site.paths.inbox, site.env.nonce).close()
    shown = back_up(site, None).as_json()
    assert shown["made"] == "2026-03-02T10:00:00Z"
    rows = {item["file"]: item["rows"] for item in shown["files"]}
    assert rows == {
        "c.db": {"campaigns": 0, "recipients": 0, "tasks": 0, "gateways": 0},
        "c.inbox.db": {"pushes": 0},
    }
    assert all(item["bytes"] > 0 for item in shown["files"])


def test_a_copy_says_of_itself_that_it_is_one(site: Site) -> None:
    open_ledger(site.paths.db, site.optouts).close()
    done = back_up(site, None)
    with closing(open_reader(done.folder / "c.db")) as conn:
        assert why_old(conn) == "this is a copy of a ledger, made 2026-03-02T10:00:00Z"
    with closing(open_reader(site.paths.db)) as conn:
        assert why_old(conn) is None


def test_nothing_is_overwritten(site: Site, tmp_path: Path) -> None:
    open_ledger(site.paths.db, site.optouts).close()
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine").write_text("kept")
    for place in (taken, taken / "mine"):
        with pytest.raises(UsageError, match="overwrites nothing"):
            back_up(site, place)
    assert (taken / "mine").read_text() == "kept"


def test_a_backup_that_fails_leaves_nothing_behind(site: Site, tmp_path: Path) -> None:
    open_ledger(site.paths.db, site.optouts).close()
    site.paths.inbox.write_bytes(b"no inbox" * 100)
    with pytest.raises(StoreError):
        back_up(site, tmp_path / "backups" / "monday")
    assert list((tmp_path / "backups").iterdir()) == []


def test_without_a_ledger_there_is_nothing_to_back_up(site: Site, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no ledger"):
        back_up(site, None)
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_that_is_damaged_makes_no_backup(site: Site) -> None:
    with closing(open_ledger(site.paths.db, site.optouts)) as conn, transaction(conn):
        conn.executemany("INSERT INTO meta VALUES (?, ?)", [(str(i), "x" * 90) for i in range(999)])
    content = bytearray(site.paths.db.read_bytes())
    content[-8000:-4000] = b"\xff" * 4000
    site.paths.db.write_bytes(content)
    with pytest.raises(StoreError, match=r"is not whole|is malformed"):
        back_up(site, None)
    assert not list(site.paths.db.parent.glob("*backup*"))
