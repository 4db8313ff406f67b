"""Bytes into lines, lines into records, each with the line on which it began.

Memory is bounded by the chunk, the longest line allowed and the longest quoted record. A quote
that is never closed costs its own line only, never the rows after it.
"""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from campaign.errors import ListError
from campaign.lists.encodings import CHUNK, LINE_LIMIT, LINE_TOO_LONG, TextEncoding
from campaign.lists.refusals import Reason, Refusal

if TYPE_CHECKING:
    from _csv import Dialect as _Dialect

# A quoted field that goes on over more than this was never meant to: the quote is a stray one.
_RECORD_LINES: Final = 100
_RECORD_CHARACTERS: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Broken:
    """A line that gives no record, and why."""

    raw: str
    refusal: Refusal


Record = list[str] | Broken

_DOS_END_OF_FILE: Final = "\x1a"
_OPEN_QUOTE: Final = Refusal(
    Reason.OPEN_QUOTE, "a quotation mark is opened here and not closed: double it or remove it"
)
_NUL: Final = Refusal(Reason.NUL, "the row contains a NUL character")
_UNDECODABLE: Final = Refusal(
    Reason.UNDECODABLE, "the row has bytes that do not belong to the encoding of the file"
)


def read_texts(
    file: BinaryIO, encoding: TextEncoding, name: str, size: int = CHUNK
) -> Iterator[str]:
    """A seekable `file` as texts of whole lines, parted by LF (whether LF, CRLF or a lone CR ended
    them), without the end of the last one; some `size` bytes each.

    Raises ListError for a line above 1 MiB (counted in characters).
    """
    file.seek(encoding.start)
    decode = io.IncrementalNewlineDecoder(encoding.decoder(), translate=True).decode
    rest = ""
    while True:
        chunk = file.read(size)
        try:
            text = decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            raise ListError(f"{name} changed while it was read") from error
        whole, end, begun = text.rpartition("\n")
        if end:
            yield rest + whole
            rest = begun
        else:
            rest += text
        # A chunk is below the limit, so only what is carried on can grow beyond it.
        if len(rest) > LINE_LIMIT:
            raise ListError(f"{name} {LINE_TOO_LONG}")
        if not chunk:
            break
    if rest:
        yield rest


def read_lines(file: BinaryIO, encoding: TextEncoding, name: str) -> Iterator[str]:
    """The lines of a seekable `file` without their ends. Raises as `read_texts`."""
    for text in read_texts(file, encoding, name):
        yield from text.split("\n")


def read_records(
    lines: Iterable[str], delimiter: str | None, *, exact: bool
) -> Iterator[tuple[int, Record]]:
    """(line, fields) of every line that is not blank. `exact`: no character was undecodable."""
    return records_until(Lines([line] for line in lines), None, delimiter, exact=exact)


def records_until(
    source: Lines, until: int | None, delimiter: str | None, *, exact: bool
) -> Iterator[tuple[int, Record]]:
    """As `read_records`, of what begins before the line `until`; None: of all lines."""
    dialect = _dialect(delimiter)
    while until is None or source.next < until:
        numbered = source.following()
        if numbered is None:
            return
        number, line = numbered
        if "\0" in line:
            yield number, Broken(line, _NUL)
        elif not exact and "\ufffd" in line:
            yield number, Broken(line, _UNDECODABLE)
        elif '"' in line:
            yield number, _quoted(line, source, dialect, exact)
        elif line == _DOS_END_OF_FILE:
            continue
        elif delimiter is None:
            if line and not line.isspace():
                yield number, [line]
        elif line:
            yield number, line.split(delimiter)


class Lines:
    """Numbered lines, which come in parts and can be taken back. `next` is the number of the one
    that follows."""

    def __init__(self, parts: Iterable[list[str]]) -> None:
        self.next = 1
        self._parts = iter(parts)
        self._waiting: deque[str] = deque()

    def following(self) -> tuple[int, str] | None:
        """The next line; None at the end."""
        while not self._waiting:
            part = next(self._parts, None)
            if part is None:
                return None
            self._waiting.extend(part)
        self.next += 1
        return self.next - 1, self._waiting.popleft()

    def rest_of_part(self) -> list[str] | None:
        """All lines of a part that is not used up, else of the next one; None at the end."""
        part = list(self._waiting) if self._waiting else next(self._parts, None)
        self._waiting.clear()
        self.next += len(part or ())
        return part

    def take_back(self, lines: Sequence[str]) -> None:
        """The last lines that were given, to be given once more."""
        self._waiting.extendleft(reversed(lines))
        self.next -= len(lines)


def _quoted(line: str, source: Lines, dialect: _Dialect, exact: bool) -> Record:
    """The record that begins with `line`, drawing further lines as long as a quote is open."""
    whole = [line]
    drawn: list[str] = []
    size = len(line)
    fields = _closed_fields(whole, dialect)
    while fields is None:
        following = source.following()
        if following is not None:
            drawn.append(following[1])
            whole.append(following[1])
            size += len(following[1])
        if following is None or len(whole) > _RECORD_LINES or size > _RECORD_CHARACTERS:
            source.take_back(drawn)
            return Broken(line, _OPEN_QUOTE)
        if '"' in following[1]:
            fields = _closed_fields(whole, dialect)
    if drawn and not _is_well_formed(whole, dialect):
        source.take_back(drawn)
        return Broken(line, _OPEN_QUOTE)
    if any("\0" in text for text in whole):
        return Broken(line, _NUL)
    if not exact and any("\ufffd" in text for text in whole):
        return Broken(line, _UNDECODABLE)
    return fields


def quoted_records(lines: Sequence[str], delimiter: str | None) -> list[list[str]] | None:
    """The fields of every line, some of them quoted; None unless each is a whole record."""
    try:
        # A reader for which the blank line is no record has not seen the last quote closed.
        records = list(csv.reader([*lines, ""], _dialect(delimiter)))
    except csv.Error:
        return None
    if len(records) != len(lines) + 1:
        return None
    for place, line in enumerate(lines):
        if '"' not in line:  # there blanks after a delimiter are part of the value
            records[place] = line.split(delimiter) if delimiter else [line]
    return records[:-1]


def _closed_fields(lines: list[str], dialect: _Dialect) -> list[str] | None:
    """The fields of one record, None if a quote is still open at the end of `lines`."""
    last = len(lines) - 1
    feed = [text + "\n" if i < last else text for i, text in enumerate(lines)]
    # A reader that asks for the blank line after the last one has not seen the quote closed.
    reader = csv.reader([*feed, ""], dialect)
    try:
        fields = next(reader)
    except csv.Error:
        return None
    return fields if reader.line_num == len(lines) else None


def _is_well_formed(lines: list[str], dialect: _Dialect) -> bool:
    """Whether every closing quote stands at the end of its field: a stray one seldom does."""
    try:
        next(csv.reader(["\n".join(lines)], dialect, strict=True))
    except csv.Error:
        return False
    return True


def _dialect(delimiter: str | None) -> _Dialect:
    # Without a delimiter nothing may be split: the unit separator occurs in no list.
    return csv.reader([], delimiter=delimiter or "\x1f", skipinitialspace=True).dialect
