"""Deciding the encoding, and files that are no text at all."""

from __future__ import annotations

import io
import random
from collections.abc import Callable

import pytest

from campaign.errors import ListError
from campaign.lists.reader import ListReader, RefusedRow, Row, open_list

ReadBytes = Callable[..., ListReader]
RowsOf = Callable[..., list[Row | RefusedRow]]

A, B = "+12025550101", "+12025550102"
CHINESE = f"手机号,姓名\n{A},王小明\n{B},李雷\n"
TAIWANESE = f"手機號碼,姓名\n{A},陳雅婷\n{B},林志明\n"


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("utf-16", "utf-16-le"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32", "utf-32-le"),
        ("gb18030", "gb18030"),
        ("gbk", "gb18030"),
    ],
)
def test_chinese_lists_are_read_in_every_encoding(
    read_bytes: ReadBytes, encoding: str, shown: str
) -> None:
    with read_bytes(CHINESE.encode(encoding)) as reader:
        assert (reader.encoding, reader.phone_column) == (shown, "手机号")
        assert [row.columns for row in reader if isinstance(row, Row)] == [
            {"姓名": "王小明"},
            {"姓名": "李雷"},
        ]


def test_big5_is_told_from_gb18030_by_the_header(read_bytes: ReadBytes) -> None:
    with read_bytes(TAIWANESE.encode("big5")) as reader:
        assert (reader.encoding, reader.phone_column) == ("big5", "手機號碼")
        assert next(iter(reader)) == Row(2, A[1:], {"姓名": "陳雅婷"})


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("王小明", "gb18030"),
        ("陳先生", "big5"),
        ("Иван Петров", "cp1251"),
        ("José Núñez", "cp1252"),
        ("Jürgen Groß", "cp1252"),
        ("Łukasz Wójcik", "cp1250"),
        ("Γιώργος Παπαδόπουλος από την Αθήνα και τη Θεσσαλονίκη", "cp1253"),
        ("Şişli İğdır", "cp1254"),
    ],
)
def test_legacy_encodings_are_told_by_their_letters(
    read_bytes: ReadBytes, name: str, encoding: str
) -> None:
    with read_bytes(f"phone,name\n{A},{name}\n".encode(encoding)) as reader:
        assert reader.encoding == encoding
        assert list(reader) == [Row(2, A[1:], {"name": name})]


def test_letters_that_come_late_in_the_file_still_decide(read_bytes: ReadBytes) -> None:
    ascii_part = f"phone,name\n{A},x\n" + f"{A},plain\n" * 30_000
    with read_bytes(ascii_part.encode() + f"{B},王小明\n".encode("gb18030")) as reader:
        assert reader.encoding == "gb18030"
        assert list(reader)[-1] == Row(30_003, B[1:], {"name": "王小明"})


def test_a_character_cut_by_the_chunk_is_whole_again(rows_of: RowsOf) -> None:
    text = f"phone,name\n{A},x\n" + f"{B},王小明王小明\n" * 20_000
    rows = rows_of(text)
    assert all(row.columns["name"] == "王小明王小明" for row in rows[1:] if isinstance(row, Row))
    assert len(rows) == 20_001


def test_stray_bytes_in_utf8_spoil_their_own_row_only(read_bytes: ReadBytes) -> None:
    raw = CHINESE.encode() + f"{A},bad".encode() + b"\xff\n" + f"{B},好\n".encode()
    with read_bytes(raw) as reader:
        assert reader.encoding == "utf-8"
        rows = list(reader)
    assert [(row.line, row.code) for row in rows if isinstance(row, RefusedRow)] == [
        (4, "undecodable")
    ]
    assert rows[-1] == Row(5, B[1:], {"姓名": "好"})


def test_a_cut_utf16_file_spoils_its_last_row_only(rows_of: RowsOf) -> None:
    rows = rows_of(CHINESE.encode("utf-16")[:-3])
    assert isinstance(rows[0], Row)
    assert isinstance(rows[1], RefusedRow)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "has no rows"),
        (b"\n\r\n  \n", "has no rows"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\x89PNG\r\n\x1a\n", "an image"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "legacy .xls"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"\x00" * 5000, "binary"),
        (random.Random(1).randbytes(5000), "binary"),
    ],
)
def test_what_is_no_list_is_refused_with_its_kind(
    read_bytes: ReadBytes, raw: bytes, says: str
) -> None:
    with pytest.raises(ListError, match=says):
        read_bytes(raw)


class EndlessFile(io.RawIOBase):
    """A file of a gigabyte that repeats one unit, and counts what is read of it."""

    def __init__(self, head: bytes, unit: bytes) -> None:
        self._head, self._unit = head, unit
        self._at = self.bytes_read = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        assert 0 <= size <= 1_048_576, "read in one piece"
        start, self._at = self._at, min(self._at + size, 2**30)
        self.bytes_read += self._at - start
        begun = self._head[start : start + size]
        return begun + self._unit * ((self._at - start - len(begun)) // len(self._unit))


@pytest.mark.parametrize(
    ("head", "unit"),
    [(b"", b"1"), (b"phone\n", b"1"), (b"\xff\xfe", b"1\x00"), (b"", b"\xd6"), (b'phone\n"', b"1")],
    ids=["ascii", "after a header", "utf-16", "legacy", "open quote"],
)
def test_a_gigabyte_in_one_line_is_refused_in_bounded_memory(head: bytes, unit: bytes) -> None:
    file = EndlessFile(head, unit)
    with pytest.raises(ListError, match="line above 1 MiB"):
        open_list(file, "huge.txt")  # type: ignore[arg-type] # a raw file is enough of a file
    assert file.bytes_read < 8 * 2**20


def test_a_long_line_after_the_sample_is_refused_while_reading(read_bytes: ReadBytes) -> None:
    content = "phone\n" + f"{A}\n" * 60 + "1" * (2**20 + 2**19) + "\n"
    with read_bytes("\ufeff" + content) as reader, pytest.raises(ListError, match="1 MiB"):
        list(reader)
