"""Rows by column: some hundred lines at a time, which is several times quicker than one by one.

What is out of the ordinary goes the long way, line by line: a stretch of text with a quotation mark
or a character that was undecodable by `rows_of`, a number in an odd spelling by `Cleaner.clean`.
Both ways come to the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, islice, repeat
from typing import Final

from campaign.lists.headers import Layout
from campaign.lists.msisdn import Cleaner
from campaign.lists.records import Lines, Record, records_until
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

_SLOW_ROWS: Final = 1000
# Quotes and what makes a line no record at all, or none of its own.
_ODD: Final = ('"', "\0", "\x1a")


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
            if self._is_plain(part):
                yield self._block(lines.next - len(part), part)
            else:
                lines.take_back(part)
                yield from self._slowly(lines, lines.next + len(part))

    def _is_plain(self, part: Sequence[str]) -> bool:
        text = "\n".join(part)
        return not (
            self.layout.is_report
            or any(character in text for character in _ODD)
            or (not self.exact and "\ufffd" in text)
        )

    def _slowly(self, lines: Lines, until: int) -> Iterator[Block]:
        records: Iterator[tuple[int, Record]] = (
            (line, record)
            for line, record in records_until(lines, until, self.delimiter, exact=self.exact)
            if line not in self.without
        )
        rows = rows_of(records, self.layout, self.cleaner, header_line=0)
        return blocks_of(rows, len(self.layout.keep))

    def _block(self, first: int, part: list[str]) -> Block:
        for line in self.without:
            if first <= line < first + len(part):
                part[line - first] = ""
        phone, width = self.layout.phone, self.layout.width
        lines: Sequence[int] = range(first, first + len(part))
        turned_away = [] if self.delimiter is None else self._to_width(part, lines)
        if turned_away:
            gone = {row.line for row in turned_away}
            part = [text for text, line in zip(part, lines, strict=True) if line not in gone]
            lines = [line for line in lines if line not in gone]
        cells = part
        if self.delimiter is not None and part:
            cells = self.delimiter.join(part).split(self.delimiter)
        raw = cells[phone::width]
        numbers, refusals = self.cleaner.clean_all(raw)
        for place, why in refusals.items():
            own = cells[place * width : (place + 1) * width]
            if self._is_row(why, own):
                turned_away.append(refused(lines[place], raw[place], why))
        columns: list[list[str]] = [
            list(map(str.strip, cells[i::width], repeat(BLANK))) for i, _ in self.layout.keep
        ]
        if refusals:
            kept = [place not in refusals for place in range(len(raw))]
            lines, numbers = list(compress(lines, kept)), list(compress(numbers, kept))
            columns = [list(compress(column, kept)) for column in columns]
        return Block(lines, numbers, columns, sorted(turned_away))

    def _is_row(self, why: Refusal, cells: list[str]) -> bool:
        """Whether cells without a number were meant to be a row."""
        return holds_anything(cells) or (
            self.delimiter is not None and why.code is not Reason.EMPTY
        )

    def _to_width(self, part: list[str], lines: Sequence[int]) -> list[RefusedRow]:
        """Give every line as many cells as the list has columns; returns those that have more."""
        delimiter, width = self.delimiter or "", self.layout.width
        counts = list(map(str.count, part, repeat(delimiter)))
        if counts.count(width - 1) == len(part):
            return []
        wide = []
        for place, count in enumerate(counts):
            if count != width - 1:
                fields = part[place].split(delimiter)
                if has_too_many(fields, width):
                    wide.append(refused_too_many(lines[place], fields, width))
                else:
                    part[place] = delimiter.join(to_width(fields, width))
        return wide
