"""Records into rows, one by one: each a clean number with its columns, or a refusal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from campaign.lists.headers import Layout, unguarded
from campaign.lists.msisdn import Cleaner
from campaign.lists.records import Broken, Record
from campaign.lists.refusals import Reason, Refusal

# Not str.strip(): it would also take control characters, which are data.
BLANK: Final = " \t\u00a0\u3000"
_RAW_SHOWN: Final = 200


class Row(NamedTuple):
    """A usable row. `line` is where it begins in the file, `number` digits with country code."""

    line: int
    number: str
    columns: dict[str, str]


class RefusedRow(NamedTuple):
    """A row without a usable number. `raw` is what stood there, at most 200 characters of it."""

    line: int
    raw: str
    reason: str
    code: str


def rows_of(
    records: Iterator[tuple[int, Record]], layout: Layout, cleaner: Cleaner, header_line: int
) -> Iterator[Row | RefusedRow]:
    """The rows of a list in their order; those that hold nothing are left out."""
    clean, phone, keep, width = cleaner.clean, layout.phone, layout.keep, layout.width
    new = tuple.__new__  # what Row() comes to, at half its cost
    for line, fields in records:
        if line == header_line:
            continue
        if isinstance(fields, Broken):
            yield refused(line, fields.raw, fields.refusal)
            continue
        if len(fields) != width:
            if has_too_many(fields, width):
                yield refused_too_many(line, fields, width)
                continue
            fields = to_width(fields, width)
        outcome = clean(fields[phone])
        if isinstance(outcome, Refusal):
            if outcome.code is not Reason.EMPTY or holds_anything(fields):
                yield refused(line, fields[phone], outcome)
        elif layout.is_report:
            own = {column: unguarded(fields[i]).strip(BLANK) for i, column in keep}
            yield Row(line, outcome, own)
        else:
            own = {}
            for i, column in keep:  # no comprehension: it is a call for each row
                own[column] = fields[i].strip(BLANK)
            yield new(Row, (line, outcome, own))


def holds_anything(fields: Sequence[str]) -> bool:
    return any(cell.strip() for cell in fields)


def has_too_many(fields: Sequence[str], width: int) -> bool:
    """Whether something stands behind the last column."""
    return len(fields) > width and holds_anything(fields[width:])


def to_width(fields: Sequence[str], width: int) -> list[str]:
    """A row as wide as its list: blank cells are left out at its end, or too many of them."""
    return [*fields[:width], *[""] * (width - len(fields))]


def refused(line: int, raw: str, refusal: Refusal) -> RefusedRow:
    return RefusedRow(line, raw[:_RAW_SHOWN], refusal.reason, refusal.code.value)


def refused_too_many(line: int, fields: Sequence[str], width: int) -> RefusedRow:
    why = Refusal(
        Reason.WRONG_COLUMNS,
        f"{len(fields)} columns where the list has {width}: put quotation marks around a value "
        "that contains the delimiter",
    )
    return refused(line, " | ".join(fields), why)
