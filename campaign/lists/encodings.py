"""Which encoding a text file is in, decided from its bytes.

A byte order mark decides; else the whole file is tried as strict UTF-8 (streamed); else UTF-16
shows by its zero bytes; else a bounded sample is weighed among the legacy encodings of our lists.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

import charset_normalizer

from campaign.errors import ListError
from campaign.lists.headers import phone_aliases_in

CHUNK: Final = 256 * 1024
LINE_LIMIT: Final = 1024 * 1024
LINE_TOO_LONG: Final = "has a line above 1 MiB: this is not a list with one recipient a line"

_SAMPLE: Final = 64 * 1024
_LEGACY: Final = ("gb18030", "big5", *(f"cp125{page}" for page in range(9)))
_WESTERN: Final = "cp1252"
_WORD: Final = re.compile(r"(?:[^\W\d_]|[^\x00-\x7f])+")
_CASE_SWAP: Final = re.compile("aA")
_LAST_LATIN: Final = 0x24F
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig", "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le", "utf-32-le"),  # before UTF-16: its mark begins the same
    (codecs.BOM_UTF32_BE, "utf-32-be", "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "utf-16-be"),
)
_CONTROLS: Final = bytes(code for code in range(32) if code not in b"\t\n\v\f\r\x1a\x1b")
_MAGIC: Final = (
    (b"\xd0\xcf\x11\xe0", "a legacy .xls or password-protected workbook: save it as .xlsx or CSV"),
    (b"%PDF", "a PDF document, not a list"),
    (b"\x89PNG", "an image, not a list"),
    (b"\xff\xd8\xff", "an image, not a list"),
    (b"GIF8", "an image, not a list"),
    (b"\x1f\x8b", "gzip-compressed: unpack it first"),
    (b"7z\xbc\xaf", "an archive: unpack it first"),
    (b"Rar!", "an archive: unpack it first"),
    (b"\x7fELF", "a program, not a list"),
    (b"SQLite format 3", "an SQLite database, not a list"),
    (b"{\\rtf", "a rich-text document: save it as plain text or CSV"),
)
# Lead bytes of the characters of daily use: level 1 of GB 2312 and of Big5, each with symbols.
_PAIR: Final = re.compile(rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]")
_COMMON_GB: Final = re.compile(rb"[\xa1-\xa3\xb0-\xd7][\xa1-\xfe]")
_COMMON_BIG5: Final = re.compile(rb"[\xa1-\xc6][\x40-\x7e\xa1-\xfe]")
_COMMON_SHARE: Final = 0.7


@dataclass(frozen=True, slots=True)
class TextEncoding:
    """How to decode a file: `codec` from byte `start` on.

    `exact` says that the whole file was seen to decode; otherwise undecodable bytes become U+FFFD
    and their rows are refused.
    """

    name: str
    codec: str
    start: int = 0
    exact: bool = False

    def decoder(self) -> codecs.IncrementalDecoder:
        """A fresh decoder; strict where nothing can be undecodable."""
        return codecs.getincrementaldecoder(self.codec)("strict" if self.exact else "replace")


def decide_encoding(file: BinaryIO, name: str) -> TextEncoding:
    """The encoding of a seekable `file`. Raises ListError for an empty or a binary one."""
    file.seek(0)
    head = file.read(_SAMPLE)
    if not head:
        raise ListError(f"{name} is empty")
    for magic, what in _MAGIC:
        if head.startswith(magic):
            raise ListError(f"{name} is {what}")
    for mark, shown, codec in _MARKS:
        if head.startswith(mark):
            return TextEncoding(shown, codec, start=len(mark))
    wide = _utf16_by_zero_bytes(head)
    if wide is not None:
        return TextEncoding(wide, wide)
    controls = len(head) - len(head.translate(None, _CONTROLS))
    if controls > max(3, len(head) // 20):
        raise ListError(f"{name} is a binary file, not a list (CSV, TSV, TXT or XLSX)")
    bad = _first_undecodable(file, name)
    if bad is None:
        return TextEncoding("utf-8", "utf-8", exact=True)
    sample = _whole_lines(head, len(head) == _SAMPLE) + b"\n" + _lines_around(file, bad)
    if _mostly_utf8(sample):
        return TextEncoding("utf-8", "utf-8")
    return _legacy(sample, name)


def _utf16_by_zero_bytes(head: bytes) -> str | None:
    """Digits and delimiters have a zero byte on one side in UTF-16, and a list is full of them."""
    zeros_even, zeros_odd = head[::2].count(0), head[1::2].count(0)
    enough = len(head) // 10
    if zeros_odd > enough and zeros_even * 20 < zeros_odd:
        return "utf-16-le"
    if zeros_even > enough and zeros_odd * 20 < zeros_even:
        return "utf-16-be"
    return None


def _first_undecodable(file: BinaryIO, name: str) -> int | None:
    """The offset of about the first byte that is not UTF-8, None if all is. Streams the file."""
    decode = codecs.getincrementaldecoder("utf-8")("strict").decode
    offset = unbroken = 0
    for chunk in _chunks(file):
        # Counted in chunks: enough to stop early at a gigabyte without a line end.
        unbroken = 0 if b"\n" in chunk or b"\r" in chunk else unbroken + len(chunk)
        if unbroken > LINE_LIMIT:
            raise ListError(f"{name} {LINE_TOO_LONG}")
        try:
            decode(chunk)
        except UnicodeDecodeError as error:
            return max(0, offset + error.start)
        offset += len(chunk)
    try:
        decode(b"", final=True)
    except UnicodeDecodeError:
        return max(0, offset - 1)
    return None


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(CHUNK):
        yield chunk


def _whole_lines(sample: bytes, cut: bool) -> bytes:
    """`sample` without the line that its end cuts, so that no character is cut either."""
    end = max(sample.rfind(b"\n"), sample.rfind(b"\r")) + 1
    return sample[:end] if cut and end else sample


def _lines_around(file: BinaryIO, offset: int) -> bytes:
    start = max(0, offset - _SAMPLE // 4)
    file.seek(start)
    window = file.read(_SAMPLE)
    if start:
        window = window.partition(b"\n")[2] or window
    return _whole_lines(window, cut=len(window) > _SAMPLE // 2)


def _mostly_utf8(sample: bytes) -> bool:
    """Some stray bytes in a UTF-8 file spoil their own rows, not the encoding of all others."""
    text = sample.decode("utf-8", "replace")
    bad = text.count("\ufffd")
    good = len(text) - bad - sum(map(text.count, map(chr, range(128))))
    return good > 8 * bad


def _legacy(sample: bytes, name: str) -> TextEncoding:
    fitting = [codec for codec in _LEGACY if _decodes(sample, codec)]
    if not fitting:
        raise ListError(f"{name} is in no encoding known here: save it as UTF-8 (Excel: CSV UTF-8)")
    codec = _by_characters(sample, _by_header(sample, fitting) or fitting)
    return TextEncoding(codec, codec)


def _decodes(sample: bytes, codec: str) -> bool:
    try:
        sample.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


def _by_header(sample: bytes, fitting: list[str]) -> list[str]:
    """Those whose header row names the phone column, where that name is not plain ASCII."""
    lines = sample.lstrip(b"\r\n").splitlines()
    header = lines[0] if lines else b""
    return [
        codec
        for codec in fitting
        if any(not alias.isascii() for alias in phone_aliases_in(header.decode(codec)))
    ]


def _by_characters(sample: bytes, fitting: list[str]) -> str:
    if len(fitting) == 1:
        return fitting[0]
    pairs = _PAIR.findall(sample)
    for codec, common in (("gb18030", _COMMON_GB), ("big5", _COMMON_BIG5)):
        usual = sum(common.fullmatch(pair) is not None for pair in pairs)
        if codec in fitting and usual and usual >= _COMMON_SHARE * len(pairs):
            return codec
    return _single_byte(sample, fitting)


def _single_byte(sample: bytes, fitting: list[str]) -> str:
    """Code pages that make odd words of the names are out; among the rest statistics decide."""
    odd = {codec: _odd_words(sample.decode(codec)) for codec in fitting}
    fewest = min(odd.values())
    plausible = [codec for codec in fitting if odd[codec] == fewest]
    matches = list(charset_normalizer.from_bytes(sample, cp_isolation=plausible))
    if not matches:
        return _WESTERN if _WESTERN in plausible else plausible[0]
    # On a few names its marks differ by chance; only a clear lead beats the commonest code page.
    best = matches[0]
    for match in matches:
        close = match.chaos <= best.chaos + 0.02 and match.coherence >= best.coherence - 0.1
        if close and _WESTERN in match.could_be_from_charset:
            return _WESTERN
    return best.encoding


def _odd_words(text: str) -> int:
    """Words that no language writes: with symbols or capitals inside, or of two alphabets."""
    words = [word for word in _WORD.findall(text) if not word.isascii()]
    return sum(
        not word.isalpha()
        or _CASE_SWAP.search("".join("aA"[letter.isupper()] for letter in word)) is not None
        or _mixes_alphabets(word)
        for word in words
    )


def _mixes_alphabets(word: str) -> bool:
    foreign = sum(ord(letter) > _LAST_LATIN for letter in word)
    if foreign:
        return foreign < len(word)
    # Latin words have a plain letter among every three or so.
    return len(word) > 3 and not any(letter.isascii() for letter in word)
