"""Restores: checked first, alone, the old or the new and no mixture, and no report is lost."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import stat
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from campaign.errors import LedgerHeld, SchemaError, StoreError, UsageError
from campaign.planner.options import CampaignOptions
from campaign.service.backups import back_up
from campaign.service.locks import FileLock
from campaign.service.restoring import InboxKept, restore
from campaign.service.site import Site
from campaign.service.soundness import check
from campaign.store.campaigns import NewRecipient, add_recipients, complete_import, create_campaign
from campaign.store.door import transaction
from campaign.store.inbox import Arrived, InboxReader, InboxWriter
from campaign.store.journal import begin_epoch, read_meta, write_meta
from campaign.store.lineage import why_old
from campaign.store.opening import open_ledger, open_reader
from campaign.store.replacing import keep_replaced, take_in_wal

SIZE = 3
NEXT = 1000


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site.at(str(tmp_path / "c.db"), str(tmp_path / "user" / "o.db"))


def new_campaign(conn: sqlite3.Connection, name: str, first: int = 1) -> None:
    campaign = create_campaign(
        conn, 1, name=name, list_name="l.csv", message="m", columns=(), options=CampaignOptions()
    )
    rows = [NewRecipient(i, f"999{first + i:08}", None, None, 1) for i in range(SIZE)]
    add_recipients(conn, campaign, rows, [])
    complete_import(conn, 1, campaign, name)


def push(site: Site, *bodies: bytes) -> None:
    rows = [
        Arrived(gateway_id=1, received_ms=1, remote="", content_type="", query="", body=body)
        for body in bodies
    ]
    with InboxWriter.open(site.paths.inbox, site.env.nonce) as inbox:
        inbox.append_many(rows)


def pushes(path: Path) -> list[bytes]:
    with InboxReader.open(path) as inbox:
        return [row.body for row in inbox.rows_after(0, 99)]


def fold(site: Site, cursor: int) -> None:
    """As an engine would have: everything up to the cursor is in the ledger."""
    with (
        InboxReader.open(site.paths.inbox) as inbox,
        closing(open_ledger(site.paths.db, site.optouts)) as conn,
        transaction(conn),
    ):
        write_meta(conn, {"inbox_file": inbox.file_id, "inbox_cursor": str(cursor)})


@pytest.fixture
def backup(site: Site) -> Path:
    """A backup of a campaign that ran on: everybody waits in it, and it has folded one push."""
    with closing(open_ledger(site.paths.db, site.optouts)) as conn, transaction(conn):
        begin_epoch(conn)
        write_meta(conn, {"next_tid": str(NEXT)})
        new_campaign(conn, "spring")
    push(site, b"1", b"2")
    fold(site, 1)
    folder = back_up(site, None).folder
    with closing(open_ledger(site.paths.db, site.optouts)) as conn, transaction(conn):
        write_meta(conn, {"next_tid": str(NEXT + 500), "epoch": "8"})
        new_campaign(conn, "summer", first=50)
    push(site, b"3")
    return folder


def facts(db: Path) -> dict[str, Any]:
    with closing(open_reader(db)) as conn:
        return {
            "states": dict(
                conn.execute("SELECT state, count(*) FROM recipients GROUP BY 1").fetchall()
            ),
            "meta": dict(conn.execute("SELECT key, value FROM meta").fetchall()),
            "old": why_old(conn),
        }


def test_whoever_was_not_final_is_unknown_and_the_epoch_is_above_both(
    site: Site, backup: Path
) -> None:
    done = restore(site, backup)
    now = facts(site.paths.db)
    assert now["states"] == {"unknown": SIZE}
    assert done.incarnation.unknown == {"spring": SIZE}
    assert now["meta"]["incarnation"] == done.incarnation.id
    assert int(now["meta"]["epoch"]) == done.incarnation.epoch == 9
    assert abs(int(now["meta"]["next_tid"]) - NEXT) > 2_000_000
    assert now["old"] is None
    assert done.missing == ("summer",)
    assert [law for law in check(site) if not law.holds] == []


def test_what_was_there_is_kept_and_may_not_be_sent_with(site: Site, backup: Path) -> None:
    done = restore(site, backup)
    (aside,) = done.aside
    assert aside.name.startswith("c.db.before-restore-")
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    then = facts(aside)
    assert then["states"] == {"pending": 2 * SIZE}
    assert "copy of a ledger" in then["old"]
    back = restore(site, aside)  # and back again
    assert back.incarnation.unknown == {"spring": SIZE, "summer": SIZE}


def test_the_backup_is_not_touched(site: Site, backup: Path) -> None:
    before = {path.name: path.read_bytes() for path in backup.iterdir()}
    restore(site, backup)
    assert {path.name: path.read_bytes() for path in backup.iterdir()} == before


def test_the_opt_out_store_is_not_touched(site: Site, backup: Path) -> None:
    before = site.optouts.read_bytes()
    restore(site, backup)
    assert site.optouts.read_bytes() == before


def test_the_present_inbox_stays_with_what_came_since(site: Site, backup: Path) -> None:
    done = restore(site, backup)
    assert (done.inbox, done.appended) == (InboxKept.PRESENT, 0)
    assert pushes(site.paths.inbox) == [b"1", b"2", b"3"]
    assert facts(site.paths.db)["meta"]["inbox_cursor"] == "1"


@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_without_a_sound_inbox_the_backups_takes_its_place(
    site: Site, backup: Path, how: str
) -> None:
    if how == "missing":
        site.paths.inbox.unlink()
    else:
        site.paths.inbox.write_bytes(b"nothing of an inbox" * 100)
    done = restore(site, backup)
    assert done.inbox is InboxKept.COPY
    assert pushes(site.paths.inbox) == [b"1", b"2"]
    kept = {path.name.partition(".before-restore-")[0] for path in done.aside}
    assert kept == {"c.db"} | ({"c.inbox.db"} if how == "damaged" else set())


def test_what_another_inbox_lacks_is_appended_to_it(site: Site, backup: Path) -> None:
    site.paths.inbox.unlink()
    push(site, b"of another")
    done = restore(site, backup)
    assert (done.inbox, done.appended) == (InboxKept.PRESENT, 1)
    # the first was folded by the copied ledger already
    assert pushes(site.paths.inbox) == [b"of another", b"2"]


def test_restoring_twice_leaves_the_inbox_as_restoring_once(site: Site, backup: Path) -> None:
    site.paths.inbox.unlink()
    push(site, b"of another", b"and one more")
    assert restore(site, backup).appended == 1
    assert restore(site, backup).appended == 0
    assert pushes(site.paths.inbox) == [b"of another", b"and one more", b"2"]


def test_a_restore_that_is_refused_leaves_the_inbox_as_it_was(site: Site, backup: Path) -> None:
    site.paths.inbox.unlink()
    push(site, b"of another")
    with closing(open_reader(site.paths.db)) as reader:
        reader.execute("BEGIN")
        assert read_meta(reader, "next_tid") == str(NEXT + 500)
        with pytest.raises(StoreError, match="being read by another process"):
            restore(site, backup)
    assert pushes(site.paths.inbox) == [b"of another"]


def test_a_backup_is_found_whatever_its_ledger_is_called(tmp_path: Path) -> None:
    site = Site.at(str(tmp_path / "ledger.sqlite"), str(tmp_path / "user" / "o.db"))
    open_ledger(site.paths.db, site.optouts).close()
    push(site, b"1")
    done = restore(site, back_up(site, None).folder)
    assert done.source.name == "ledger.sqlite"


def test_what_an_older_copy_of_the_inbox_lacks_is_appended_to_it(site: Site, backup: Path) -> None:
    push(site, b"4")
    fold(site, 1)
    later = back_up(site, site.paths.db.with_name("later")).folder
    shutil.copy(backup / "c.inbox.db", site.paths.inbox)
    push(site, b"other")
    done = restore(site, later)
    assert done.appended == 2
    assert pushes(site.paths.inbox) == [b"1", b"2", b"other", b"3", b"4"]


def test_where_there_is_no_inbox_at_all_none_is_made(site: Site, backup: Path) -> None:
    site.paths.inbox.unlink()
    (backup / "c.inbox.db").unlink()
    done = restore(site, backup / "c.db")
    assert done.inbox is InboxKept.NONE
    assert not site.paths.inbox.exists()


def test_a_backup_comes_back_where_nothing_is_left(site: Site, backup: Path) -> None:
    for path in site.paths.db.parent.glob("c.*db*"):
        if path.is_file():
            path.unlink()
    done = restore(site, backup)
    assert done.aside == ()
    assert facts(site.paths.db)["states"] == {"unknown": SIZE}
    assert pushes(site.paths.inbox) == [b"1", b"2"]


def test_a_damaged_ledger_is_replaced_and_kept_with_its_wal(site: Site, backup: Path) -> None:
    site.paths.db.write_bytes(b"nothing of a ledger" * 500)
    wal = site.paths.db.with_name("c.db-wal")
    wal.write_bytes(b"what is left of it")
    done = restore(site, backup)
    assert not wal.exists()
    assert facts(site.paths.db)["states"] == {"unknown": SIZE}
    assert {b"nothing", b"what is"} <= {path.read_bytes()[:7] for path in done.aside}


def test_a_plain_old_copy_put_in_place_by_hand_can_be_restored_where_it_lies(
    site: Site, backup: Path
) -> None:
    shutil.copy(backup / "c.db", site.paths.db)
    restore(site, site.paths.db)
    assert facts(site.paths.db)["states"] == {"unknown": SIZE}
    assert pushes(site.paths.inbox) == [b"1", b"2", b"3"]


@pytest.mark.parametrize(
    ("place", "told"), [("lock", "end it first"), ("inbox_lock", "campaign listen --stop")]
)
def test_a_running_engine_or_receiver_refuses_it(
    site: Site, backup: Path, place: str, told: str
) -> None:
    lock = FileLock(getattr(site.paths, place))
    assert lock.acquire()
    before = facts(site.paths.db)
    with pytest.raises(LedgerHeld, match=told) as held:
        restore(site, backup)
    assert held.value.exit_code == 6
    assert facts(site.paths.db) == before
    lock.release()
    restore(site, backup)


def damage_of(folder: Path) -> None:
    content = bytearray((folder / "c.db").read_bytes())
    content[8192:12288] = b"\xff" * 4096
    (folder / "c.db").write_bytes(content)


def later_version(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "c.db")) as conn:
        conn.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
            " VALUES ('campaign.ledger', '9999_later', '2099-01-01')"
        )
        conn.commit()


@pytest.mark.parametrize(
    ("spoil", "error", "told"),
    [
        pytest.param(damage_of, StoreError, "malformed", id="damaged"),
        pytest.param(later_version, SchemaError, "later version", id="later-version"),
        pytest.param(lambda f: (f / "c.db").unlink(), UsageError, "no ledger", id="no-ledger"),
        pytest.param(
            lambda f: shutil.copy(f / "c.db", f / "d.db"), UsageError, "more than", id="two"
        ),
        pytest.param(shutil.rmtree, UsageError, "nothing at", id="nothing"),
    ],
)
def test_what_cannot_be_restored_is_refused_before_anything_is_touched(
    site: Site, backup: Path, spoil: Any, error: type[Exception], told: str
) -> None:
    spoil(backup)
    before = facts(site.paths.db)
    files = sorted(site.paths.db.parent.glob("c.*db*"))
    with pytest.raises(error, match=told):
        restore(site, backup)
    assert facts(site.paths.db) == before
    locks = [site.paths.lock, site.paths.inbox_lock]
    assert sorted(site.paths.db.parent.glob("c.*db*")) == sorted({*files, *locks})


def test_somebody_elses_database_at_the_ledgers_place_is_left_alone(
    site: Site, backup: Path
) -> None:
    site.paths.db.unlink()
    with closing(sqlite3.connect(site.paths.db)) as conn:
        conn.execute("CREATE TABLE theirs (a)")
    before = site.paths.db.read_bytes()
    with pytest.raises(SchemaError, match="not a campaign ledger"):
        restore(site, backup)
    assert site.paths.db.read_bytes() == before


def _killed_at(nth: int, site: Site, backup: Path) -> bool:
    """Restore in a forked process that dies at its nth call to the system; whether it did."""
    pid = os.fork()
    if pid == 0:
        left = nth

        def on(event: str, args: tuple[object, ...]) -> None:
            nonlocal left
            if event in ("open", "os.link", "os.rename", "os.remove", "sqlite3.connect"):
                left -= 1
                if left < 0:
                    os._exit(9)

        sys.addaudithook(on)
        restore(site, backup)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) == 9


def test_killed_at_any_moment_it_leaves_the_old_ledger_or_the_new(
    site: Site, backup: Path, tmp_path: Path
) -> None:
    before = facts(site.paths.db)
    kept = tmp_path / "kept"
    kept.mkdir()
    for path in (site.paths.db, site.paths.inbox):
        shutil.copy2(path, kept / path.name)
    seen = []
    nth = 0
    while _killed_at(nth, site, backup):
        now = facts(site.paths.db)
        seen.append("old" if now == before else "new")
        if seen[-1] == "new":
            assert now["states"] == {"unknown": SIZE}
            assert {"incarnation", "restored_task"} <= now["meta"].keys()
            assert now["old"] is None
        assert pushes(site.paths.inbox) == [b"1", b"2", b"3"]
        open_ledger(site.paths.db, site.optouts).close()
        for path in (site.paths.db, site.paths.inbox):
            shutil.copy2(kept / path.name, path)
        nth += 1
    assert seen == sorted(seen, reverse=True), "once new, it stays new"
    assert {"old", "new"} == set(seen)
    assert facts(site.paths.db)["states"] == {"unknown": SIZE}


def test_after_a_restore_that_was_cut_off_the_next_one_works(site: Site, backup: Path) -> None:
    assert _killed_at(12, site, backup)
    restore(site, backup)
    assert facts(site.paths.db)["states"] == {"unknown": SIZE}
    assert not list(site.paths.db.parent.glob("*.restoring*"))


def test_a_ledger_that_is_being_read_is_not_pulled_away(site: Site, backup: Path) -> None:
    with closing(open_reader(site.paths.db)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM meta").fetchone()
        assert read_meta(reader, "next_tid") == str(NEXT + 500)
        with pytest.raises(StoreError, match="being read by another process"):
            restore(site, backup)
        reader.execute("ROLLBACK")
    assert facts(site.paths.db)["states"] == {"pending": 2 * SIZE}


def unfinished_business(site: Site) -> None:
    """An engine that was killed: what it committed last is in the WAL only."""
    pid = os.fork()
    if pid == 0:
        conn = open_ledger(site.paths.db, site.optouts)
        with transaction(conn):
            write_meta(conn, {"next_tid": "4711", "padding": "x" * 200_000})
        os._exit(9)
    os.waitpid(pid, 0)
    assert site.paths.db.with_name("c.db-wal").stat().st_size > 200_000


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """As on a full disk: what grows a file beyond `size` bytes fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_leaves_the_ledger_its_wal(site: Site, backup: Path, tmp_path: Path) -> None:
    unfinished_business(site)
    names = sorted(path.name for path in tmp_path.iterdir())
    size = max(site.paths.db.stat().st_size, (backup / "c.db").stat().st_size)
    with files_no_larger_than(size + 16_384), pytest.raises(StoreError, match="disk"):
        restore(site, backup)
    assert {name for name in names if "shm" not in name} <= {p.name for p in tmp_path.iterdir()}
    assert not list(tmp_path.glob("*.before-restore-*"))
    assert facts(site.paths.db)["meta"]["next_tid"] == "4711"
    restore(site, backup)
    assert facts(site.paths.db)["states"] == {"unknown": SIZE}


def test_what_is_kept_says_that_it_is_a_copy_before_the_new_one_is_there(
    site: Site, tmp_path: Path
) -> None:
    open_ledger(site.paths.db, site.optouts).close()
    assert take_in_wal(site.paths.db)
    aside = tmp_path / "aside.db"
    assert keep_replaced(site.paths.db, aside, "2026-01-01T00:00:00Z", sound=True) == [aside]
    assert "copy of a ledger" in facts(aside)["old"]
    assert facts(site.paths.db)["old"] is None, "it is not replaced yet"


def test_what_the_file_system_refuses_is_told_in_words(site: Site, backup: Path) -> None:
    site.paths.db.with_name("c.db.restoring").mkdir()
    before = facts(site.paths.db)
    with pytest.raises(StoreError, match=r"cannot restore .*c\.db: .*directory"):
        restore(site, backup)
    assert facts(site.paths.db) == before
