"""A ledger whose creation was cut off is made whole before it is read."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database

from campaign.errors import SchemaError, StoreError
from campaign.service.gateways import Secret, add, list_views
from campaign.service.ledger import has_ledger, make_whole, read, read_any_version
from campaign.service.locks import FileLock
from campaign.service.site import Site
from campaign.store.campaigns import list_campaigns
from campaign.store.gateways import list_gateways
from campaign.store.opening import open_ledger
from campaign.store.schema import ledger_migrations

_APPLICATION_ID = 0x43414D50


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site.at(str(tmp_path / "c.db"), str(tmp_path / "optouts.db"))


def cut_off(site: Site, before: str) -> None:
    """A ledger as a kill leaves it that struck while it was made."""
    with closing(sqlite3.connect(site.paths.db, isolation_level=None)) as conn:
        conn.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        ledger_migrations.apply(Database(conn, execute_plugins=False), stop_before=before)


@pytest.mark.parametrize("before", [m.name for m in ledger_migrations._migrations])
def test_a_ledger_whose_creation_was_cut_off_is_made_whole(site: Site, before: str) -> None:
    cut_off(site, before)
    assert read(site, list_gateways) == []
    assert read(site, list_campaigns) == []


def test_reading_makes_no_ledger_of_an_empty_file(site: Site) -> None:
    site.paths.db.touch()
    with pytest.raises(SchemaError, match=r"nothing in .* yet: launch a campaign first"):
        read(site, list_gateways)
    assert site.paths.db.read_bytes() == b""
    assert not site.paths.lock.exists()


def test_an_empty_file_is_waited_for_while_an_engine_makes_a_ledger_of_it(site: Site) -> None:
    site.paths.db.touch()
    engine = FileLock(site.paths.lock)
    assert engine.acquire()
    assert has_ledger(site)
    with pytest.raises(StoreError, match=r"just being made"):
        make_whole(site, patience=0.1)
    engine.release()
    assert not has_ledger(site)


@pytest.mark.parametrize("begun", [False, True], ids=["touched", "set-to-wal"])
async def test_what_a_kill_left_before_a_ledger_was_marked_is_made_one_by_the_next_change(
    site: Site, begun: bool
) -> None:
    site.paths.db.touch()
    if begun:
        with closing(sqlite3.connect(site.paths.db, isolation_level=None)) as conn:
            conn.execute("PRAGMA journal_mode = WAL")
    assert list_views(site) == []
    secret = Secret.in_variable("PW")
    await add(site, "office", "http://127.0.0.1:1", "root", secret)
    assert [row.name for row in read(site, list_gateways)] == ["office"]


def test_it_is_left_to_whoever_holds_it(site: Site) -> None:
    cut_off(site, "0002_removed")
    engine = FileLock(site.paths.lock)
    assert engine.acquire()
    with pytest.raises(StoreError, match=r"just being made"):
        make_whole(site, patience=0.1)
    engine.release()
    assert read(site, list_gateways) == []


def test_an_error_of_the_database_is_told_in_words(site: Site) -> None:
    open_ledger(site.paths.db, site.optouts).close()

    def nonsense(conn: sqlite3.Connection) -> None:
        conn.execute("SELECT * FROM nowhere")

    with pytest.raises(StoreError, match="could not be read: no such table: nowhere"):
        read(site, nonsense)


def test_an_error_in_a_ledger_of_any_version_is_told_in_words(site: Site) -> None:
    open_ledger(site.paths.db, site.optouts).close()
    with pytest.raises(StoreError, match="could not be read: no such table: nowhere"):
        read_any_version(site, lambda conn: conn.execute("SELECT * FROM nowhere"))


def test_a_ledger_too_damaged_to_be_looked_at_is_told_in_words(site: Site) -> None:
    cut_off(site, "0002_removed")
    with closing(sqlite3.connect(site.paths.db, isolation_level=None)) as conn:
        pages = conn.execute(
            "SELECT rootpage FROM sqlite_master WHERE tbl_name = 'gateways' AND rootpage > 0"
        ).fetchall()
        (size,) = conn.execute("PRAGMA page_size").fetchone()
    content = bytearray(site.paths.db.read_bytes())
    for (page,) in pages:
        content[(page - 1) * size : page * size] = b"\xff" * size
    site.paths.db.write_bytes(content)
    with pytest.raises(StoreError, match="malformed"):
        make_whole(site)
