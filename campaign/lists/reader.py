"""A recipient list from file to rows: each a clean number with its columns, or a refusal.

Memory stays constant however long the list is; a list is read from the start at every iteration.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from campaign.errors import ListError
from campaign.lists.blocks import Block, BlockReader, blocks_of
from campaign.lists.delimiters import find_delimiter, stated_delimiter
from campaign.lists.encodings import TextEncoding, decide_encoding
from campaign.lists.headers import Layout, lay_out
from campaign.lists.msisdn import Cleaner
from campaign.lists.records import Broken, Record, read_lines, read_records, read_texts
from campaign.lists.rows import RefusedRow as RefusedRow
from campaign.lists.rows import Row as Row
from campaign.lists.rows import rows_of
from campaign.lists.spreadsheet import ZIP_MAGIC, Spreadsheet

# Enough to see the columns by, and few enough to be nothing in memory.
_SAMPLE_LINES: Final = 50
# Some thousand rows at most: while they are read, everything else in the program waits.
_BLOCK_BYTES: Final = 16 * 1024


class ListReader:
    """An open list; iterate it for its rows in file order, close it (or use `with`).

    `columns` are the list's own columns without the phone column, in file order; `encoding` is
    what was decided ("xlsx" for workbooks); `delimiter` is None for one column and for workbooks;
    `sheet` is the sheet read of a workbook, else None; `has_header` says whether the first row
    named the columns (else they are column1, column2, …).
    """

    def __init__(
        self, file: BinaryIO, name: str, region: str | None, phone_column: str | None
    ) -> None:
        self.name = name
        self.sheet: str | None = None
        self.delimiter: str | None = None
        self._file = file
        self._text: TextEncoding | None = None
        self._workbook: Spreadsheet | None = None
        self._sep_line = False
        Cleaner(region)  # an unknown region is told before any file is looked at
        file.seek(0)
        if file.read(len(ZIP_MAGIC)) == ZIP_MAGIC:
            self._workbook = Spreadsheet(file, name)
            self.sheet = self._workbook.sheet
            self.encoding = "xlsx"
        else:
            self._text = decide_encoding(file, name)
            self.encoding = self._text.name
            self._decide_delimiter(self._text, phone_column)
        self._layout, self._header_line = self._look(phone_column)
        self.phone_column = self._layout.phone_name
        self.columns = tuple(column for _, column in self._layout.keep)
        self.has_header = self._layout.has_header
        self._cleaner = Cleaner(region, international=self._layout.is_report)

    def __iter__(self) -> Iterator[Row | RefusedRow]:
        return rows_of(self._records(), self._layout, self._cleaner, self._header_line)

    def blocks(self) -> Iterator[Block]:
        """The same rows by column, which is the quick way to read many."""
        if self._text is None:
            return blocks_of(iter(self), len(self.columns))
        reader = BlockReader(
            self._layout,
            self._cleaner,
            self.delimiter,
            self._text.exact,
            frozenset({1, self._header_line} if self._sep_line else {self._header_line}),
        )
        return reader.read(read_texts(self._file, self._text, self.name, _BLOCK_BYTES))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the workbook and the file."""
        if self._workbook is not None:
            self._workbook.close()
        self._file.close()

    def _decide_delimiter(self, encoding: TextEncoding, phone_column: str | None) -> None:
        lines = list(islice(read_lines(self._file, encoding, self.name), _SAMPLE_LINES))
        stated = stated_delimiter(lines[0]) if lines else None
        self._sep_line = stated is not None
        self.delimiter = stated or find_delimiter(lines, phone_column)

    def _records(self) -> Iterator[tuple[int, Record]]:
        if self._workbook is not None:
            return self._workbook.records()
        if self._text is None:
            return iter(())
        lines = read_lines(self._file, self._text, self.name)
        records = read_records(lines, self.delimiter, exact=self._text.exact)
        return islice(records, 1 if self._sep_line else 0, None)

    def _look(self, phone_column: str | None) -> tuple[Layout, int]:
        """The layout, and the line of the header (0 if there is none)."""
        sample = [
            (line, record)
            for line, record in islice(self._records(), _SAMPLE_LINES)
            if not isinstance(record, Broken) and any(cell.strip() for cell in record)
        ]
        if not sample:
            raise ListError(f"{self.name} has no rows")
        layout = lay_out([record for _, record in sample], phone_column, self.name)
        return layout, sample[0][0] if layout.has_header else 0


def open_list(
    source: Path | BinaryIO,
    name: str | None = None,
    *,
    region: str | None = None,
    phone_column: str | None = None,
) -> ListReader:
    """Opens a CSV, TSV, TXT or XLSX list; the reader closes what it is given.

    `source` is a path or a seekable binary file; `region` (ISO 3166, e.g. "CN") reads national
    numbers; `phone_column` is a header, or a position from 1. Raises ListError, with what to do,
    if the list as a whole cannot be read, and UsageError for an unknown region.
    """
    shown = name or (str(source) if isinstance(source, Path) else "the list")
    try:
        file = _open_file(source, shown) if isinstance(source, Path) else source
        try:
            return ListReader(file, shown, region, phone_column)
        except BaseException:
            file.close()
            raise
    except OSError as error:
        raise ListError(f"{shown} cannot be read: {error.strerror or error}") from error


def _open_file(path: Path, name: str) -> BinaryIO:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise ListError(f"{name} does not exist") from error
    if stat.S_ISDIR(mode):
        raise ListError(f"{name} is a directory: name the file in it")
    if stat.S_ISFIFO(mode):
        return _spooled(path)
    if not stat.S_ISREG(mode):
        raise ListError(f"{name} is not a file")
    return path.open("rb")


def _spooled(path: Path) -> BinaryIO:
    """A pipe (`<(…)` of the shell) can be read once only, and a list is read twice."""
    file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - the reader closes it
    try:
        with path.open("rb") as pipe:
            shutil.copyfileobj(pipe, file)
    except BaseException:
        file.close()
        raise
    file.seek(0, os.SEEK_SET)
    return file
