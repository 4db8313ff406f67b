"""Which character parts the columns.

`csv.Sniffer` is not asked: on a file of phone numbers alone it finds the delimiter "0".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from campaign.lists.headers import like_a_number, names_a_phone_column
from campaign.lists.records import Broken, read_records

_CANDIDATES: Final = (",", ";", "\t", "|", "，")
# Excel's own note in the first line of a CSV; not a row.
_SEP_LINE: Final = "sep="
_QUORUM: Final = 0.5


def stated_delimiter(line: str) -> str | None:
    """The delimiter that Excel's `sep=;` line states, None for any other line."""
    stated = line.strip().strip('"').lower()
    delimiter = line.strip().strip('"')[len(_SEP_LINE) :]
    return delimiter if stated.startswith(_SEP_LINE) and delimiter in _CANDIDATES else None


def find_delimiter(lines: Sequence[str], phone_column: str | None) -> str | None:
    """The delimiter of the first lines of a file, None for a file of one column."""
    scored = [
        (score, delimiter)
        for delimiter in _CANDIDATES
        if any(delimiter in line for line in lines)
        and (score := _score(lines, delimiter, phone_column)) is not None
    ]
    # max() keeps the first of equals, and the commonest delimiters stand first.
    return max(scored, key=lambda pair: pair[0])[1] if scored else None


def _score(
    lines: Sequence[str], delimiter: str, phone_column: str | None
) -> tuple[bool, float, int] | None:
    """(the first row makes sense, share of rows of the commonest width, that width)."""
    rows = [
        row
        for _, row in read_records(lines, delimiter, exact=True)
        if not isinstance(row, Broken) and any(cell.strip() for cell in row)
    ]
    if not rows:
        return None
    sensible = len(rows[0]) > 1 and any(_makes_sense(cell, phone_column) for cell in rows[0])
    width, count = Counter(map(len, rows)).most_common(1)[0]
    share = count / len(rows)
    if not sensible and (width == 1 or share < _QUORUM):
        return None
    return sensible, share, width


def _makes_sense(cell: str, phone_column: str | None) -> bool:
    if phone_column is not None and cell.strip().casefold() == phone_column.strip().casefold():
        return True
    return names_a_phone_column(cell) or like_a_number(cell)
