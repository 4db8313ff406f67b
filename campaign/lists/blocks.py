"""Rows by column: some hundred lines at a time, which is several times quicker than one by one.

What is out of the ordinary goes the long way, line by line: a stretch of text in which a quoted
value runs over several lines by `rows_of`, a number in an odd spelling by `Cleaner.clean`. Both
ways come to the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, islice, repeat
from typing import Final, TypeVar

from campaign.lists.headers import Layout
from campaign.lists.msisdn import Cleaner
from campaign.lists.records import Lines, Record, quoted_records, records_until
from campaign.lists.refusals import Reason, Refusal
from campaign.lists.rows import (
    BLANK,
    RefusedRow,
    Row,
    has_too_many,
    holds_anything,
    refused,
    refused_too_many,
    rows_of,
    to_width,
)

R = TypeVar("R", str, list[str])

_SLOW_ROWS: Final = 1000
# What makes a line no record.
_ODD: Final = ("\0", "\x1a")


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of a list that follow each other, by column; the refused ones beside them.

    `columns` are the list's own columns, each with one value for each of `lines`.
    """

    lines: Sequence[int]
    numbers: Sequence[str]
    columns: Sequence[Sequence[str]]
    refused: Sequence[RefusedRow]

    def rows(self, names: Sequence[str]) -> Iterator[Row]:
        """The usable rows one by one; `names` are those of the columns."""
        values = zip(*self.columns, strict=True) if self.columns else repeat(())
        for line, number, own in zip(self.lines, self.numbers, values):  # noqa: B905 - or endless
            yield Row(line, number, dict(zip(names, own, strict=True)))


def blocks_of(rows: Iterator[Row | RefusedRow], width: int) -> Iterator[Block]:
    """Rows that come one by one; `width` is how many columns they have."""
    while part := list(islice(rows, _SLOW_ROWS)):
        usable = [row for row in part if isinstance(row, Row)]
        yield Block(
            [row.line for row in usable],
            [row.number for row in usable],
            [*zip(*(row.columns.values() for row in usable), strict=True)] or [()] * width,
            [row for row in part if isinstance(row, RefusedRow)],
        )


@dataclass(frozen=True, slots=True)
class BlockReader:
    """Reads the texts of one list. `exact`: no character was undecodable; `without` are lines that
    are no rows, such as the header's."""

    layout: Layout
    cleaner: Cleaner
    delimiter: str | None
    exact: bool
    without: frozenset[int]

    def read(self, texts: Iterable[str]) -> Iterator[Block]:
        """Blocks of whole lines without the end of the last; a text should be some 16 KB."""
        lines = Lines(text.split("\n") for text in texts)
        while (part := lines.rest_of_part()) is not None:
            first = lines.next - len(part)
            records = self._records(first, part)
            if records is not None:
                yield self._block(range(first, lines.next), records)
            else:
                lines.take_back(part)
                yield from self._slowly(lines, first + len(part))

    def _records(self, first: int, part: list[str]) -> list[str] | list[list[str]] | None:
        """The lines, or the cells of each where some are quoted; None where a line by itself is no
        record, or an odd one."""
        text = "\n".join(part)
        if (
            self.layout.is_report
            or any(character in text for character in _ODD)
            or (not self.exact and "\ufffd" in text)
        ):
            return None
        if '"' not in text:
            return self._emptied(first, list(part), "")
        records = quoted_records(part, self.delimiter)
        return None if records is None else self._emptied(first, records, [""])

    def _emptied(self, first: int, records: list[R], empty: R) -> list[R]:
        for line in self.without:
            if first <= line < first + len(records):
                records[line - first] = empty
        return records

    def _slowly(self, lines: Lines, until: int) -> Iterator[Block]:
        records: Iterator[tuple[int, Record]] = (
            (line, record)
            for line, record in records_until(lines, until, self.delimiter, exact=self.exact)
            if line not in self.without
        )
        rows = rows_of(records, self.layout, self.cleaner, header_line=0)
        return blocks_of(rows, len(self.layout.keep))

    def _block(self, lines: Sequence[int], records: list[str] | list[list[str]]) -> Block:
        phone, width = self.layout.phone, self.layout.width
        turned_away: list[RefusedRow] = []
        cells = self._cells(lines, records, turned_away)
        if turned_away:
            gone = {row.line for row in turned_away}
            lines = [line for line in lines if line not in gone]
        raw = cells[phone::width]
        numbers, refusals = self.cleaner.clean_all(raw)
        for place, why in refusals.items():
            if self._is_row(why, cells[place * width : (place + 1) * width]):
                turned_away.append(refused(lines[place], raw[place], why))
        columns: list[list[str]] = [
            list(map(str.strip, cells[i::width], repeat(BLANK))) for i, _ in self.layout.keep
        ]
        if refusals:
            kept = [place not in refusals for place in range(len(raw))]
            lines, numbers = list(compress(lines, kept)), list(compress(numbers, kept))
            columns = [list(compress(column, kept)) for column in columns]
        return Block(lines, numbers, columns, sorted(turned_away))

    def _is_row(self, why: Refusal, cells: Sequence[str]) -> bool:
        """Whether cells without a number were meant to be a row."""
        return holds_anything(cells) or (
            self.delimiter is not None and why.code is not Reason.EMPTY
        )

    def _cells(
        self,
        lines: Sequence[int],
        records: list[str] | list[list[str]],
        turned_away: list[RefusedRow],
    ) -> Sequence[str]:
        """The cells of all records, as many of each as the list has columns. Records that have more
        are left out, and among `turned_away`."""
        if not records or not isinstance(records[0], str):
            return _to_width(lines, records, self.layout.width, turned_away)
        delimiter, width = self.delimiter, self.layout.width
        if delimiter is None:
            return records
        counts = list(map(str.count, records, repeat(delimiter)))
        if counts.count(width - 1) == len(records):
            return delimiter.join(records).split(delimiter)
        return _to_width(lines, [line.split(delimiter) for line in records], width, turned_away)


def _to_width(
    lines: Sequence[int],
    records: Sequence[Sequence[str]],
    width: int,
    turned_away: list[RefusedRow],
) -> list[str]:
    cells: list[str] = []
    for line, record in zip(lines, records, strict=True):
        if len(record) == width:
            cells += record
        elif has_too_many(record, width):
            turned_away.append(refused_too_many(line, record, width))
        else:
            cells += to_width(record, width)
    return cells
