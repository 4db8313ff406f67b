"""db: what is printed, the exit codes, and the JSON of backup, restore, check and migrate."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlite_utils import Database

from campaign.cli import main
from campaign.service.locks import FileLock
from campaign.service.site import Site
from campaign.store.door import transaction
from campaign.store.inbox import Arrived, InboxWriter
from campaign.store.journal import write_meta
from campaign.store.opening import APPLICATION_ID, open_ledger
from campaign.store.schema import ledger_migrations

Run = Callable[..., Result]
LAST = ledger_migrations._migrations[-1].name


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site.at(str(tmp_path / "c.db"), str(tmp_path / "user" / "o.db"))


@pytest.fixture
def run(site: Site) -> Run:
    """`run("db", "check")` calls campaign on the ledger."""

    def call(*words: str | Path) -> Result:
        where = ["--db", str(site.paths.db), "--optouts", str(site.optouts)]
        return CliRunner().invoke(main, [*where, *map(str, words)])

    return call


@pytest.fixture
def ledger(site: Site) -> Site:
    open_ledger(site.paths.db, site.optouts).close()
    return site


@pytest.fixture
def earlier(site: Site) -> Site:
    """A ledger that waits for the last migration."""
    with closing(sqlite3.connect(site.paths.db, isolation_level=None)) as conn:
        conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        ledger_migrations.apply(Database(conn, execute_plugins=False), stop_before=LAST)
        conn.execute(
            "INSERT INTO gateways (name, url, username, secret, token, created_ms)"
            " VALUES ('gw', 'http://192.0.2.1', 'root', 'env:GW', 'token', 1)"
        )
    site.paths.db.chmod(0o600)
    return site


def laws(result: Result) -> dict[str, tuple[bool, str]]:
    shown: dict[str, Any] = json.loads(result.stdout)
    return {law["law"]: (law["holds"], law["detail"]) for law in shown["laws"]}


def test_a_backup_is_told_file_by_file_with_the_way_back(run: Run, ledger: Site) -> None:
    result = run("db", "backup")
    assert result.exit_code == 0, result.stderr
    assert "0 campaigns, 0 recipients" in result.stdout
    folder = next(ledger.paths.db.parent.glob("c.db.backup-*"))
    assert f"db restore {folder}" in result.stderr


def test_a_backup_and_a_restore_in_json(run: Run, ledger: Site, tmp_path: Path) -> None:
    made = json.loads(run("db", "backup", tmp_path / "monday", "--json").stdout)
    assert [item["file"] for item in made["files"]] == ["c.db"]
    restored = json.loads(run("db", "restore", tmp_path / "monday", "--json").stdout)
    assert restored.keys() == {
        "source", "incarnation", "epoch", "unknown", "inbox", "aside", "missing_campaigns",
    }  # fmt: skip
    assert restored["inbox"] == {"kept": "none", "appended": 0}
    assert len(restored["aside"]) == 1


def test_a_restore_says_what_became_of_whom(run: Run, ledger: Site, tmp_path: Path) -> None:
    run("db", "backup", tmp_path / "monday")
    result = run("db", "restore", tmp_path / "monday")
    assert result.exit_code == 0, result.stderr
    assert "unknown (restored)  nobody" in result.stdout
    assert "before-restore" in result.stdout


def test_a_second_backup_overwrites_nothing(run: Run, ledger: Site, tmp_path: Path) -> None:
    assert run("db", "backup", tmp_path / "monday").exit_code == 0
    result = run("db", "backup", tmp_path / "monday")
    assert (result.exit_code, "overwrites nothing" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("lock", "told"), [("lock", "end it first"), ("inbox_lock", "campaign listen --stop")]
)
def test_a_restore_beside_an_engine_or_a_receiver_ends_with_6(
    run: Run, ledger: Site, tmp_path: Path, lock: str, told: str
) -> None:
    run("db", "backup", tmp_path / "monday")
    held = FileLock(getattr(ledger.paths, lock))
    assert held.acquire()
    result = run("db", "restore", tmp_path / "monday")
    held.release()
    assert (result.exit_code, told in result.stderr) == (6, True)


def test_nothing_engaged_with_a_copy_sends(run: Run, ledger: Site, tmp_path: Path) -> None:
    run("db", "backup", tmp_path / "monday")
    copy = CliRunner().invoke(
        main,
        ["--db", str(tmp_path / "monday" / "c.db"), "--optouts", str(ledger.optouts), "resume"],
    )
    assert (copy.exit_code, "db restore" in copy.stderr) == (6, True)
    assert not (tmp_path / "monday" / "c.inbox.db").exists(), "no receiver was started for it"


def test_a_sound_ledger_keeps_every_law(run: Run, ledger: Site) -> None:
    result = run("db", "check", "--json")
    assert result.exit_code == 0, result.stdout
    assert json.loads(result.stdout)["ok"]
    assert len(laws(result)) == 9
    assert "ok" in run("db", "check").stdout


def test_a_check_beside_an_engine_and_its_open_transaction_holds_too(
    run: Run, ledger: Site
) -> None:
    lock = FileLock(ledger.paths.lock)
    assert lock.acquire()
    with closing(open_ledger(ledger.paths.db, ledger.optouts)) as conn:
        conn.execute("BEGIN IMMEDIATE")
        conn.execute("INSERT INTO meta VALUES ('half', 'done')")
        assert run("db", "check").exit_code == 0
        conn.execute("COMMIT")
    lock.release()


CAMPAIGN = """
    INSERT INTO campaigns (id, name, state, list_name, message, options, created_ms)
        VALUES (1, 'a', 'running', '', '', '{}', 1);
"""
ASSIGNED = f"""{CAMPAIGN}
    INSERT INTO recipients (id, campaign_id, row, number, state)
        VALUES (1, 1, 1, '99900000001', 'assigned');
    INSERT INTO tallies VALUES (1, 'assigned', 1);
"""
CLOSED = f"""{ASSIGNED}
    INSERT INTO gateways (id, name, url, username, secret, token, created_ms)
        VALUES (1, 'g', '', '', '', 't', 1);
    INSERT INTO tasks (id, campaign_id, gateway_id, tid, port, state, size, body, sha256, epoch,
                       post_id, created_ms, closed_ms)
        VALUES (1, 1, 1, 9, 1, 'closed', 1, x'7b7d', '', 1, 1, 0, 1);
    INSERT INTO attempts (task_id, idx, recipient_id, live) VALUES (1, 1, 1, 1);
"""
BROKEN = {
    "counts are the sums of recipients": f"{CAMPAIGN} INSERT INTO tallies VALUES (1, 'sent', 3);",
    "in flight means exactly one live attempt": ASSIGNED,
    "a closed task has no live attempt": CLOSED,
    "the ledger is whole": "INSERT INTO tallies VALUES (7, 'pending', 0);",
    "this is the ledger that sent last": "INSERT INTO meta VALUES ('overtaken', 'tid 5');",
    "a commit of the ledger survives a power cut": "PRAGMA journal_mode = DELETE;",
}


@pytest.mark.parametrize("law", BROKEN)
def test_a_broken_law_is_named_and_ends_with_1(run: Run, ledger: Site, law: str) -> None:
    with closing(sqlite3.connect(ledger.paths.db, isolation_level=None)) as conn:
        conn.executescript(BROKEN[law])
    result = run("db", "check", "--json")
    assert result.exit_code == 1
    assert [name for name, (holds, _) in laws(result).items() if not holds] == [law]


def test_files_that_others_can_read_are_named(run: Run, ledger: Site) -> None:
    ledger.paths.db.chmod(0o644)
    result = run("db", "check", "--json")
    assert result.exit_code == 1
    holds, told = laws(result)["the files are their owner's alone"]
    assert (holds, told.startswith("chmod 600 c.db")) == (False, True)


def test_a_cursor_past_the_end_of_the_inbox_is_told(run: Run, ledger: Site) -> None:
    row = Arrived(
        gateway_id=1, received_ms=1, remote="", content_type="", query="", body=b"{}"
    )  # fmt: skip
    with InboxWriter.open(ledger.paths.inbox, ledger.env.nonce) as inbox:
        inbox.append_many([row])
        for cursor, holds in ((1, True), (2, False)):
            with (
                closing(open_ledger(ledger.paths.db, ledger.optouts)) as conn,
                transaction(conn),
            ):
                write_meta(conn, {"inbox_file": inbox.file_id, "inbox_cursor": str(cursor)})
            found = laws(run("db", "check", "--json"))
            assert found["what is folded lies in the inbox"][0] is holds


def test_an_inbox_that_is_none_is_told(run: Run, ledger: Site) -> None:
    ledger.paths.inbox.write_bytes(b"no inbox" * 100)
    ledger.paths.inbox.chmod(0o600)
    result = run("db", "check", "--json")
    assert (result.exit_code, laws(result)["the inbox is an inbox"][0]) == (1, False)


def test_without_a_ledger_there_is_nothing_to_check(run: Run) -> None:
    assert run("db", "check").exit_code == 1
    assert "no ledger" in run("db", "migrate").stderr


@pytest.mark.parametrize("words", [("status",), ("report", "c"), ("inbox", "list")])
def test_a_command_that_only_reads_sends_an_earlier_ledger_to_migrate(
    run: Run, earlier: Site, words: tuple[str, ...]
) -> None:
    result = run(*words)
    assert (result.exit_code, "campaign db migrate" in result.stderr) == (1, True), result.output


def test_migrating_on_purpose_says_what_was_done_and_where_the_copy_is(
    run: Run, earlier: Site
) -> None:
    found = laws(run("db", "check", "--json"))
    assert found["the ledger's schema is this version's"] == (
        False,
        f"campaign db migrate applies {LAST}",
    )
    result = run("db", "migrate", "--json")
    copy = earlier.paths.db.with_name(f"c.db.before-{LAST}")
    assert json.loads(result.stdout) == {"applied": [LAST], "copy": str(copy)}
    assert copy.exists()
    assert run("status").exit_code == 0
    assert json.loads(run("db", "migrate", "--json").stdout) == {"applied": [], "copy": None}
    assert "up to date already" in run("db", "migrate").stdout


def test_migrating_under_an_engine_ends_with_6(run: Run, earlier: Site) -> None:
    lock = FileLock(earlier.paths.lock)
    assert lock.acquire()
    assert run("db", "migrate").exit_code == 6
    lock.release()


def test_a_ledger_of_a_later_version_is_refused(run: Run, ledger: Site) -> None:
    with closing(open_ledger(ledger.paths.db, ledger.optouts)) as conn:
        conn.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
            " VALUES ('campaign.ledger', '9999_later', '2099-01-01')"
        )
    result = run("db", "migrate")
    assert (result.exit_code, "later version" in result.stderr) == (1, True)
