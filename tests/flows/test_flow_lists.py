"""Lists that are too much: refused in bounded memory, or taken in constant memory."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import xlsxwriter  # type: ignore[import-untyped]  # it has neither stubs nor py.typed

if TYPE_CHECKING:
    from tests.flows.conftest import Flow

pytestmark = pytest.mark.process

_MEGABYTE = 1 << 20


def _directory(path: Path) -> None:
    path.mkdir()


def _empty(path: Path) -> None:
    path.touch()


def _binary(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 1000)


def _one_gigabyte_of_nothing(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


def _one_endless_line(path: Path) -> None:
    with path.open("wb") as file:
        for _ in range(200):
            file.write(b"5" * _MEGABYTE)


def _endless_line_behind_good_ones(path: Path) -> None:
    with path.open("wb") as file:
        file.writelines(b"+99955%09d\n" % i for i in range(5000))
        for _ in range(200):
            file.write(b"5" * _MEGABYTE)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (_directory, "odd.csv is a directory"),
        (_empty, "odd.csv is empty"),
        (_binary, "odd.csv"),
        (_one_gigabyte_of_nothing, "odd.csv"),
        (_one_endless_line, "line"),
        (_endless_line_behind_good_ones, "line"),
    ],
)
def test_what_is_no_list_is_refused_in_bounded_memory(
    flow: Flow, make: Callable[[Path], None], told: str
) -> None:
    path = flow.folder / "odd.csv"
    make(path)
    done = flow.launch(path, simulate=1).wait()
    assert done.code == 1, done.err
    assert done.err.startswith("Error: odd.csv"), done.err
    assert told in done.err
    assert done.peak_mb < 200
    assert not flow.processes(), "nothing was started for it"


def test_a_workbook_above_a_hundred_thousand_rows_is_refused(flow: Flow, down: str) -> None:
    path = flow.folder / "big.xlsx"
    with xlsxwriter.Workbook(path, {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write(0, 0, "phone")
        for row in range(1, 100_102):
            sheet.write_string(row, 0, f"+99955{row:09d}")
    done = flow.launch(path, simulate=None).wait()
    assert done.code == 1, done.err
    assert "big.xlsx has more than 100,000 rows" in done.err
    assert done.peak_mb < 200
    assert flow.rows("SELECT 1 FROM campaigns") == [], "no draft is left"


def test_two_hundred_thousand_recipients_are_imported_in_constant_memory(
    flow: Flow, down: str, make_list: Callable[[int], Path]
) -> None:
    engine = flow.launch(make_list(200_000), simulate=None)
    flow.until(lambda: flow.state() == "running", "all is imported", engine)
    (campaign,) = flow.run("status", "--json").json()["campaigns"]
    assert campaign["recipients"] == campaign["counts"]["pending"] == 200_000
    engine.signal(signal.SIGINT)
    done = engine.wait(within=10)
    assert done.code == 130
    assert done.peak_mb < 150
