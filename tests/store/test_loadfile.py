"""The file of a load run: read as it was written, or refused by name; nothing else is harmed."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from campaign.errors import SchemaError, StoreError
from campaign.store.loadfile import (
    DelayRow,
    HistogramRow,
    LoadRows,
    QueueRow,
    SecondRow,
    read_load_file,
    write_load_file,
)
from campaign.store.opening import open_ledger

ROWS = LoadRows(
    facts={"target": "http://127.0.0.1:1", "errors": {"timeout": 2}, "seconds": 2.04},
    histograms=[HistogramRow("accept", 3, 10, 20, 30, 31, b"\x00packed\xff")],
    seconds=[SecondRow(0, 2, 2, 1, 0, 0, 0, 1, 0), SecondRow(1, 1, 1, 2, 0, 0, 0, 0, 0)],
    delays=[
        DelayRow(0, "accept", 1, 10, 10, 10, 10, b"one"),
        DelayRow(1, "accept", 2, 9, 9, 9, 9, b"two"),
    ],
    queue=[QueueRow(0, 4), QueueRow(1, 0)],
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.load"


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        for statement in statements:
            conn.execute(statement)


def test_a_file_is_read_as_it_was_written_and_is_the_owners_alone(path: Path) -> None:
    write_load_file(path, ROWS)
    assert read_load_file(path) == ROWS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in path.parent.iterdir()] == ["run.load"]


def test_an_earlier_result_is_replaced(path: Path) -> None:
    write_load_file(path, ROWS)
    write_load_file(path, LoadRows({"target": "b"}, [], [], [], []))
    assert read_load_file(path).facts == {"target": "b"}


@pytest.mark.parametrize("kind", ["text", "empty", "ledger", "folder"])
def test_whatever_else_stands_there_is_kept(path: Path, kind: str) -> None:
    match kind:
        case "text":
            path.write_text("my notes")
        case "empty":
            path.touch()
        case "ledger":
            open_ledger(path, path.with_name("optouts.db")).close()
        case "folder":
            path.mkdir()
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(StoreError, match="is kept; name another file"):
        write_load_file(path, ROWS)
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_write_that_fails_leaves_the_earlier_result_and_nothing_else(path: Path) -> None:
    write_load_file(path, ROWS)
    twice = LoadRows(ROWS.facts, [], [ROWS.seconds[0], ROWS.seconds[0]], [], [])
    with pytest.raises(StoreError, match="cannot write the result file"):
        write_load_file(path, twice)
    assert read_load_file(path) == ROWS
    assert [found.name for found in path.parent.iterdir()] == ["run.load"]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot write the result file"):
        write_load_file(tmp_path / "no" / "run.load", ROWS)


def test_a_missing_file_is_told_with_the_way_to_make_one(path: Path) -> None:
    with pytest.raises(StoreError, match="load run --out FILE"):
        read_load_file(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"my notes, more than a hundred bytes of them" * 5, "is not the result of a load run"),
        (b"", "but not the result of a load run"),
    ],
    ids=["text", "empty"],
)
def test_a_foreign_file_is_refused(path: Path, content: bytes, words: str) -> None:
    path.write_bytes(content)
    with pytest.raises(SchemaError, match=words):
        read_load_file(path)


def test_a_ledger_is_no_result(path: Path) -> None:
    open_ledger(path, path.with_name("optouts.db")).close()
    with pytest.raises(SchemaError, match="but not the result of a load run"):
        read_load_file(path)


def test_a_file_of_a_later_version_is_refused(path: Path) -> None:
    write_load_file(path, ROWS)
    change(path, "PRAGMA user_version = 99")
    with pytest.raises(SchemaError, match="later version of campaign"):
        read_load_file(path)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE seconds SET late = 1 WHERE nth = 1",
        "UPDATE delays SET packed = x'00' WHERE nth = 1",
        "DELETE FROM queue WHERE nth = 1",
        "UPDATE facts SET value = 'no JSON' WHERE key = 'target'",
        "DELETE FROM facts WHERE key = 'sha256'",
        "DROP TABLE histograms",
    ],
)
def test_a_changed_row_makes_the_file_damaged(path: Path, statement: str) -> None:
    write_load_file(path, ROWS)
    change(path, statement)
    with pytest.raises(StoreError, match="is damaged"):
        read_load_file(path)


def test_no_changed_or_missing_byte_gives_other_figures(path: Path) -> None:
    write_load_file(path, ROWS)
    whole = path.read_bytes()
    for place in range(0, len(whole), 509):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        assert read_or_refused(path)
    for length in range(0, len(whole), 1024):
        path.write_bytes(whole[:length])
        assert read_or_refused(path)


def read_or_refused(path: Path) -> bool:
    """Bytes that hold nothing may change; any other change is an error of the tree's own."""
    try:
        return read_load_file(path) == ROWS
    except StoreError:
        return True
