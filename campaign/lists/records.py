"""Bytes into lines, lines into records, each with the line on which it began.

Memory is bounded by the chunk, the longest line allowed and the longest quoted record. A quote
that is never closed costs its own line only, never the rows after it.
"""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterable, Iterator
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


def read_lines(file: BinaryIO, encoding: TextEncoding, name: str) -> Iterator[str]:
    """The lines of a seekable `file` without their ends (LF, CRLF or lone CR).

    Raises ListError for a line above 1 MiB (counted in characters).
    """
    file.seek(encoding.start)
    decode = io.IncrementalNewlineDecoder(encoding.decoder(), translate=True).decode
    rest = ""
    while True:
        chunk = file.read(CHUNK)
        try:
            text = decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            raise ListError(f"{name} changed while it was read") from error
        lines = text.split("\n")
        lines[0] = rest + lines[0]
        rest = lines.pop()
        yield from lines
        # A chunk is below the limit, so only what is carried on can grow beyond it.
        if len(rest) > LINE_LIMIT:
            raise ListError(f"{name} {LINE_TOO_LONG}")
        if not chunk:
            break
    if rest:
        yield rest


def read_records(
    lines: Iterable[str], delimiter: str | None, *, exact: bool
) -> Iterator[tuple[int, Record]]:
    """(line, fields) of every line that is not blank. `exact`: no character was undecodable."""
    dialect = _dialect(delimiter)
    source = _Lines(lines)
    for number, line in source:
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


class _Lines:
    """Numbered lines that can be taken back."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._fresh = enumerate(lines, start=1)
        self._returned: deque[tuple[int, str]] = deque()

    def __iter__(self) -> Iterator[tuple[int, str]]:
        while True:
            if self._returned:
                yield self._returned.popleft()
                continue
            for numbered in self._fresh:
                yield numbered
                if self._returned:
                    break
            else:
                return

    def following(self) -> tuple[int, str] | None:
        return self._returned.popleft() if self._returned else next(self._fresh, None)

    def take_back(self, lines: list[tuple[int, str]]) -> None:
        self._returned.extendleft(reversed(lines))


def _quoted(line: str, source: _Lines, dialect: _Dialect, exact: bool) -> Record:
    """The record that begins with `line`, drawing further lines as long as a quote is open."""
    whole = [line]
    drawn: list[tuple[int, str]] = []
    size = len(line)
    fields = _closed_fields(whole, dialect)
    while fields is None:
        following = source.following()
        if following is not None:
            drawn.append(following)
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
