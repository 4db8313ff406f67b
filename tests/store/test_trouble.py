"""A database error says what to look at, where that is known."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from campaign.store.trouble import told


def test_a_database_that_is_full_asks_for_space() -> None:
    conn = sqlite3.connect(":memory:")
    conn.execute("CREATE TABLE t (x)")
    conn.execute("PRAGMA max_page_count = 2")
    with pytest.raises(sqlite3.Error) as caught:
        conn.execute("INSERT INTO t VALUES (zeroblob(100000))")
    assert told(caught.value) == "database or disk is full (free space on its disk)"


def test_a_database_that_may_only_be_read_asks_for_permission() -> None:
    conn = sqlite3.connect(":memory:")
    conn.execute("PRAGMA query_only = ON")
    with pytest.raises(sqlite3.Error) as caught:
        conn.execute("CREATE TABLE t (x)")
    assert told(caught.value).endswith("(let this user write it and its folder)")


def test_a_folder_that_is_not_there_is_asked_about(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.Error) as caught:
        sqlite3.connect(tmp_path / "nowhere" / "a.db")
    assert "see that its folder is there" in told(caught.value)


def test_other_errors_stand_for_themselves() -> None:
    assert told(sqlite3.OperationalError("the disk's")) == "the disk's"
    assert told(PermissionError(13, "Permission denied")) == "[Errno 13] Permission denied"
