"""A stranger's text where it can do harm: in a spreadsheet's cell, on a terminal."""

from __future__ import annotations

import re
from typing import Final

# What a formula begins with, in ASCII, full-width and small forms and as a minus sign: some
# spreadsheets fold them all. Blanks and invisible marks before it are skipped by them too.
FORMULA: Final = re.compile(
    r"'*(?:[\t\r\n]|[\s\u200b-\u200f\u2060\ufeff]*[=+\-@＝＋－＠﹦﹢﹣﹫−])"
)
_SPACE_LIKE: Final = "\u00a0\u2002\u2003\u2009\u202f\u3000"


def safe_cell(text: str) -> str:
    """The text with a leading quote if a spreadsheet would take it for a formula.

    A text that only looks quoted already gets one more quote, so that taking one away is always
    the way back.
    """
    # most begin with a letter or a digit, and no formula does
    return text if text[:1].isalnum() or not FORMULA.match(text) else f"'{text}"


def terminal_text(text: str) -> str:
    """The text on one line, with control, escape and direction characters shown as escapes."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in _SPACE_LIKE else ascii(char)[1:-1] for char in text
    )
