"""The opt-out store: one per user, durable, and never silently without an entry."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from campaign.errors import StoreError
from campaign.store.optouts import (
    OptOut,
    add_optouts,
    create_optouts,
    list_optouts,
    remove_optout,
)

ANN = OptOut("99900000001", 1000, "operator", "asked by mail")
BO = OptOut("99900000002", 2000, "inbound")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "optouts.db"


def test_entries_come_back_by_number(path: Path) -> None:
    assert add_optouts(path, [BO, ANN]) == 2
    assert list(list_optouts(path)) == [ANN, BO]


def test_the_first_entry_of_a_number_stays(path: Path) -> None:
    add_optouts(path, [ANN])
    assert add_optouts(path, [OptOut(ANN.number, 9, "import"), BO, BO]) == 1
    assert list(list_optouts(path)) == [ANN, BO]


def test_an_entry_can_be_taken_back(path: Path) -> None:
    add_optouts(path, [ANN, BO])
    assert remove_optout(path, ANN.number)
    assert not remove_optout(path, ANN.number)
    assert list(list_optouts(path)) == [BO]


def test_what_is_no_number_is_an_error_never_dropped_in_silence(path: Path) -> None:
    for text in ("+99900000001", "999 1", ""):
        with pytest.raises(StoreError):
            add_optouts(path, [ANN, OptOut(text, 1, "import")])
    assert list(list_optouts(path)) == []


def test_a_store_that_is_not_there_has_no_entries_and_stays_away(path: Path) -> None:
    assert list(list_optouts(path)) == []
    assert not path.exists()


def test_the_store_is_the_owners_alone(path: Path) -> None:
    create_optouts(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_creating_again_keeps_the_entries(path: Path) -> None:
    add_optouts(path, [ANN])
    create_optouts(path)
    assert list(list_optouts(path)) == [ANN]


def test_a_creation_cut_off_half_way_is_finished_by_the_next(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    add_optouts(path, [ANN])
    assert list(list_optouts(path)) == [ANN]


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="opt-out store"):
        create_optouts(tmp_path / "file" / "optouts.db")


def test_what_is_no_opt_out_store_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("CREATE TABLE theirs (a)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="opt-out store"):
        create_optouts(path)
    with pytest.raises(StoreError, match="opt-out store"):
        add_optouts(path, [ANN])
    with pytest.raises(StoreError, match="opt-out store"):
        list(list_optouts(path))
    assert path.read_bytes() == before


def test_garbage_is_refused_in_words(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"number\n" * 300)
    for refuse in (
        lambda: add_optouts(path, [ANN]),
        lambda: remove_optout(path, ANN.number),
        lambda: list(list_optouts(path)),
    ):
        with pytest.raises(StoreError, match="opt-out store"):
            refuse()
