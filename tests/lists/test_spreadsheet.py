"""XLSX workbooks as lists."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from datetime import date, datetime, time

import openpyxl
import pytest

from campaign.errors import ListError
from campaign.lists.reader import ListReader, RefusedRow, Row

ReadBytes = Callable[..., ListReader]


def workbook(rows: Sequence[Sequence[object]], *, hidden_first: bool = False) -> bytes:
    book = openpyxl.Workbook()
    book.worksheets[0].sheet_state = "hidden"
    if not hidden_first:
        book.remove(book.worksheets[0])
    sheet = book.create_sheet("people")
    for row in rows:
        sheet.append(list(row))
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def repacked(raw: bytes, part: str, content: bytes) -> bytes:
    """The workbook with one part of it replaced."""
    target = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(raw)) as source,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out,
    ):
        for name in source.namelist():
            out.writestr(name, content if name == part else source.read(name))
    return target.getvalue()


def test_a_workbook_reads_like_a_csv(read_bytes: ReadBytes) -> None:
    rows: list[list[object]] = [
        ["手机号", "name", "since", "at", "points", "vip"],
        [
            13800138000,
            "Ada",
            date(2024, 5, 1),
            datetime.combine(date(2024, 5, 1), time(9, 30)),
            7.0,
            True,
        ],
        ["+86 138 0013 8001", "Bo", None, None, 1.5, False],
        [],
        [None, None],
        ["1.38E+10", "Chen"],
    ]
    with read_bytes(workbook(rows), region="CN") as reader:
        assert (reader.encoding, reader.sheet, reader.delimiter) == ("xlsx", "people", None)
        assert reader.phone_column == "手机号"
        first, second, third = reader
    assert first == Row(
        2,
        "8613800138000",
        {"name": "Ada", "since": "2024-05-01", "at": "2024-05-01 09:30:00", "points": "7",
         "vip": "TRUE"},
    )  # fmt: skip
    assert isinstance(second, Row)
    assert second.columns["points"] == "1.5"
    assert isinstance(third, RefusedRow)
    assert (third.line, third.code) == (6, "scientific")


def test_the_first_visible_sheet_is_read(read_bytes: ReadBytes) -> None:
    with read_bytes(workbook([["+12025550101"]], hidden_first=True)) as reader:
        assert reader.sheet == "people"
        assert list(reader) == [Row(1, "12025550101", {})]


def sheet_xml(rows: str) -> bytes:
    return (
        '<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/'
        f'2006/main"><sheetData>{rows}</sheetData></worksheet>'
    ).encode()


@pytest.mark.slow
def test_more_than_100_000_rows_are_refused_with_the_way_out(read_bytes: ReadBytes) -> None:
    rows = "".join(f'<row r="{i}"><c><v>9990000{i:06d}</v></c></row>' for i in range(1, 100_004))
    raw = repacked(workbook([["x"]]), "xl/worksheets/sheet1.xml", sheet_xml(rows))
    with read_bytes(raw) as reader, pytest.raises(ListError, match=r"100,000 rows.*CSV"):
        for _ in reader:
            pass


@pytest.mark.parametrize("part", ["xl/worksheets/sheet1.xml", "xl/workbook.xml"])
def test_a_zip_bomb_is_refused_before_it_is_unpacked(read_bytes: ReadBytes, part: str) -> None:
    raw = repacked(workbook([["x"]]), part, b" " * 8_000_000)
    with pytest.raises(ListError, match="far too much"):
        read_bytes(raw)


def test_a_row_without_end_is_refused(read_bytes: ReadBytes) -> None:
    cells = "".join(f"<c><v>{i * 7919 % 1000003}</v></c>" for i in range(400_000))
    raw = repacked(
        workbook([["x"]]), "xl/worksheets/sheet1.xml", sheet_xml(f'<row r="1">{cells}</row>')
    )
    with pytest.raises(ListError, match="row of more than 4 MB"):
        read_bytes(raw)


@pytest.mark.parametrize(
    ("part", "content"),
    [
        ("xl/workbook.xml", b"<workbook"),
        ("xl/worksheets/sheet1.xml", b"<worksheet"),
        ("[Content_Types].xml", b"nonsense"),
    ],
)
def test_a_damaged_workbook_is_a_list_error(
    read_bytes: ReadBytes, part: str, content: bytes
) -> None:
    with pytest.raises(ListError, match="damaged"):
        read_bytes(repacked(workbook([["phone"], ["+12025550101"]]), part, content))


def test_a_truncated_workbook_and_another_zip_are_list_errors(read_bytes: ReadBytes) -> None:
    whole = workbook([["+12025550101"]])
    with pytest.raises(ListError, match="damaged"):
        read_bytes(whole[:-100])
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as out:
        out.writestr("list.csv", "phone\n")
    with pytest.raises(ListError, match="no XLSX workbook"):
        read_bytes(other.getvalue())
