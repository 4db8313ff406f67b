"""XLSX workbooks as records: the first visible sheet, row by row.

A workbook is a zip of XML, so a small file may claim gigabytes. Sizes are judged before anything
is unpacked (zipfile reads no more than a member states), and rows before they are parsed.
"""

from __future__ import annotations

import warnings
import zipfile
import zlib
from collections.abc import Iterator
from datetime import date, datetime, time
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from campaign.errors import ListError

if TYPE_CHECKING:
    from openpyxl.workbook.workbook import Workbook

ZIP_MAGIC: Final = b"PK\x03\x04"
ROW_LIMIT: Final = 100_000
_LAST_ROW: Final = 1_048_576

# 100,000 rows of 20 filled columns are some 60 MB of XML; shared strings are held in memory.
_SHEET_BYTES: Final = 128 * 1024 * 1024
_PART_BYTES: Final = 32 * 1024 * 1024
# Sheets pack about 1:10 to 1:20, bombs 1:1000.
_PACKING: Final = 150
_PACKING_FREE: Final = 4 * 1024 * 1024
_ROW_BYTES: Final = 4 * 1024 * 1024
_CHUNK: Final = 1024 * 1024
_DAMAGE: Final = (
    OSError, EOFError, KeyError, IndexError, ValueError, TypeError, AttributeError, SyntaxError,
    RuntimeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class Spreadsheet:
    """An open workbook. `sheet` is the name of the sheet that is read."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._name = name
        self._file = file
        try:
            _refuse_bombs(file, name)
            self._book, self._sheet = _open(file, name)
        except _DAMAGE as error:
            raise ListError(f"{name} is a damaged workbook: {error}") from error
        self.sheet = str(self._sheet.title)

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """(row number as shown by Excel, cells) of every row that is not blank."""
        count = 0
        rows = enumerate(self._sheet.values, start=1)
        while batch := self._batch(rows):
            for line, row in batch:
                cells = [_text(value) for value in row]
                if not any(cells):
                    continue
                count += 1
                # One more for the header.
                if count > ROW_LIMIT + 1 or line > _LAST_ROW:
                    raise ListError(
                        f"{self._name} has more than {ROW_LIMIT:,} rows, the most that is read "
                        "from XLSX: save the sheet as CSV, which has no limit"
                    )
                yield line, cells

    def close(self) -> None:
        self._book.close()

    def _batch(
        self, rows: Iterator[tuple[int, tuple[object, ...]]]
    ) -> list[tuple[int, tuple[object, ...]]]:
        # openpyxl warns about odd dates and styles, which are nothing to the recipient list.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return list(islice(rows, 256))
            except _DAMAGE as error:
                raise ListError(f"{self._name} is a damaged workbook: {error}") from error


def _open(file: BinaryIO, name: str) -> tuple[Workbook, Any]:
    try:
        # Optional, and 20 MB of memory: only who reads workbooks pays for it.
        from openpyxl import load_workbook
    except ImportError as error:
        raise ListError(
            f"{name} is an XLSX workbook, and openpyxl to read it is not installed: "
            "pip install 'campaign[xlsx]', or save the list as CSV"
        ) from error
    file.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
    sheets: list[Any] = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
    if not sheets:
        raise ListError(f"{name} has no visible sheet")
    sheet = sheets[0]
    # Some programs write a wrong size of the sheet; believed, it would cut columns off.
    sheet.reset_dimensions()
    return book, sheet


def _refuse_bombs(file: BinaryIO, name: str) -> None:
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if not any(member.filename == "xl/workbook.xml" for member in members):
            raise ListError(f"{name} is a zip archive but no XLSX workbook: unpack it, or save CSV")
        for member in members:
            is_sheet = member.filename.startswith("xl/worksheets/")
            limit = _SHEET_BYTES if is_sheet else _PART_BYTES
            packed = max(1, member.compress_size)
            swollen = member.file_size > _PACKING_FREE and member.file_size // packed > _PACKING
            if member.filename.startswith("xl/media/"):
                continue  # pictures are never unpacked
            if member.file_size > limit or swollen:
                raise ListError(
                    f"{name} would unpack to far too much ({member.filename}: "
                    f"{member.file_size // 1_000_000} MB): save the sheet as CSV"
                )
            if is_sheet and member.file_size > _ROW_BYTES:
                _refuse_endless_rows(archive, member, name)


def _refuse_endless_rows(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> None:
    """The parser holds one row in memory, so no row may be most of the sheet."""
    run = 0
    with archive.open(member) as part:
        while chunk := part.read(_CHUNK):
            run = 0 if b"<row" in chunk or b":row" in chunk else run + len(chunk)
            if run > _ROW_BYTES:
                raise ListError(f"{name} has a row of more than 4 MB: save the sheet as CSV")


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "TRUE" if value else "FALSE"
        case str() | int():
            return str(value)
        case float() if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        case datetime() if value.time() == time():
            return value.date().isoformat()
        case datetime():
            return value.isoformat(sep=" ")
        case date() | time():
            return value.isoformat()
        case _:
            return str(value)
