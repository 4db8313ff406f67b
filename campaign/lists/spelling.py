"""The ways people and spreadsheets spell a phone number, reduced to `+` and digits.

Only spelling is judged here; whether such a number exists is the numbering plan's question.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from campaign.lists.refusals import Reason, Refusal

# Beyond this no cell is a number, and no pattern should have to look at it.
MAX_CELL: Final = 80

_INVISIBLE: Final = (0x00AD, 0x061C, 0x180E, *range(0x200B, 0x2010), *range(0x202A, 0x202F),
                     *range(0x2060, 0x206A), 0xFE0E, 0xFE0F, 0xFEFF)  # fmt: skip
_DASHES: Final = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\ufe58\ufe63\uff0d\u30fc\u2e3a"
_SPACES: Final = "\t\u00a0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


def _plain_spelling() -> dict[int, str | None]:
    table: dict[int, str | None] = dict.fromkeys(_INVISIBLE)
    table |= {ord(dash): "-" for dash in _DASHES}
    table |= {ord(space): " " for space in _SPACES}
    table |= {0xFF01 + offset: chr(0x21 + offset) for offset in range(94) if offset != 0x0C}
    table |= {ord(mark): "'" for mark in "\u2018\u2019\u02bc`\u00b4"}
    table |= {ord(mark): '"' for mark in "\u201c\u201d"}
    table |= {0xB7: ".", 0x2022: ".", 0x2024: ".", 0x3002: ".", 0x3001: ",", 0x2795: "+"}
    for code in range(0x0660, 0x1000):  # Arabic, Persian and the Indic digits
        digit = unicodedata.decimal(chr(code), None)
        if digit is not None:
            table[code] = str(digit)
    return table


_PLAIN: Final = _plain_spelling()
_SEPARATORS: Final = str.maketrans("", "", " -.()[]")
_SCHEME: Final = re.compile(r"(?:tel|sms|smsto|callto)\s*:\s*(?://)?", re.IGNORECASE)
_SCIENTIFIC: Final = re.compile(r"\+?\d+(?:[.,]\d+)?\s*e\s*\+?\s*\d{1,3}", re.IGNORECASE | re.ASCII)
_INTEGRAL: Final = re.compile(r"(\+?\d{4,})[.,]0+", re.ASCII)
_FRACTION: Final = re.compile(r"\+?\d{7,}[.,]\d", re.ASCII)
_SEVERAL: Final = re.compile(r"\d{5}\D*[/,;|&\\]\D*\d{5}|\d{7}\s{2,}\+?\d{7}", re.ASCII)
_DIALLED: Final = re.compile(r"\+?\d+", re.ASCII)
_EXCEL_SHORTENED: Final = (
    "shortened by Excel to scientific notation, digits are lost: format the column as text in the "
    "original workbook and export it again"
)


def dialled_digits(raw: str) -> str | Refusal:
    """`raw` without its trimmings: digits with an optional leading `+`."""
    if "\0" in raw:
        return Refusal(Reason.NUL, "the cell contains a NUL character")
    if len(raw) > MAX_CELL * 4:
        return Refusal(Reason.NOT_A_NUMBER, "not a phone number: the cell is far too long")
    text = raw.translate(_PLAIN).strip()
    text = text.removeprefix("=").strip("\"' ")
    scheme = _SCHEME.match(text)
    if scheme:
        text, _, parameters = text[scheme.end() :].partition(";")
        if "ext=" in parameters.lower():
            return Refusal(Reason.LETTERS, "an extension cannot receive SMS")
    refusal = _unlike_a_number(text)
    if refusal:
        return refusal
    integral = _INTEGRAL.fullmatch(text)
    if integral:
        text = integral[1]
    digits = text.translate(_SEPARATORS)
    if text.startswith("-") or not _DIALLED.fullmatch(digits):
        return Refusal(Reason.NOT_A_NUMBER, "not a phone number: unexpected characters in it")
    return digits


def without_separators(text: str) -> str:
    """What is left of a cell of ASCII digits, `+`, blanks, dashes and round brackets."""
    return text.replace(" ", "").replace("-", "").replace("(", "").replace(")", "")


def _unlike_a_number(text: str) -> Refusal | None:
    if not text:
        return Refusal(Reason.EMPTY, "the phone number is missing")
    if len(text) > MAX_CELL:
        return Refusal(Reason.NOT_A_NUMBER, "not a phone number: the cell is far too long")
    if _SCIENTIFIC.fullmatch(text):
        return Refusal(Reason.SCIENTIFIC, _EXCEL_SHORTENED)
    if not any(character.isdigit() for character in text):
        return Refusal(Reason.NO_NUMBER, "there is no number in the cell")
    if _SEVERAL.search(text):
        return Refusal(Reason.SEVERAL, "more than one number in the cell: one number a row")
    if any(character.isalpha() for character in text):
        return Refusal(Reason.LETTERS, "letters in the number (extensions cannot receive SMS)")
    if _FRACTION.fullmatch(text) and not _INTEGRAL.fullmatch(text):
        return Refusal(Reason.NOT_A_NUMBER, "a decimal fraction, not a phone number")
    return None
