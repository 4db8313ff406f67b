"""Accepted rows of a list on their way into the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import NamedTuple

NO_COLUMNS = b"null\n"
"""A row of a list that has none but its numbers, among `AlikeRecipients.columns`."""

_LINE_DIGITS = 12
_LINE_END = b"\n"


class NewRecipient(NamedTuple):
    """One accepted row of a list. `text` None: the constant message; `columns` a JSON array."""

    row: int
    number: str
    text: str | None
    columns: str | None
    parts: int
    lane: int = 0


@dataclass(slots=True)
class AlikeRecipients:
    """Accepted rows that all get the constant message, of `parts` segments, in lane 0; by column,
    since most lists are such, and objects for each row would take longer than storing it.

    `columns` are pieces of JSON lines: an array for each row, or `NO_COLUMNS`.
    """

    parts: int
    rows: list[int] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    columns: list[bytes] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows)

    def one_by_one(self) -> list[NewRecipient]:
        """The same rows as others have them."""
        return [
            NewRecipient(row, number, None, None if columns == "null" else columns, self.parts)
            for row, number, columns in zip(
                self.rows, self.numbers, self._column_lines(), strict=True
            )
        ]

    def fixed_lines(self) -> tuple[int, bytes]:
        """How wide each line number is, and all of them in that width."""
        return _LINE_DIGITS, (f"%{_LINE_DIGITS}d" * len(self) % tuple(self.rows)).encode()

    def fixed_numbers(self) -> tuple[int, bytes]:
        """How wide each number is, and all of them in that width, with blanks behind."""
        width = max(map(len, self.numbers), default=1)
        return width, "".join(map(str.ljust, self.numbers, repeat(width))).encode()

    def columns_array(self) -> str:
        """The columns of all rows as one JSON array."""
        lines = b"".join(self.columns)[:-1]
        return f"[{lines.replace(_LINE_END, b',').decode()}]"  # no line end stands within JSON

    def _column_lines(self) -> list[str]:
        return b"".join(self.columns).decode().split("\n")[:-1]


Recipients = AlikeRecipients | Sequence[NewRecipient]


def one_by_one(recipients: Recipients) -> Sequence[NewRecipient]:
    """Recipients as rows, whatever they come as."""
    return recipients.one_by_one() if isinstance(recipients, AlikeRecipients) else recipients


def numbers_of(recipients: Recipients) -> list[str]:
    if isinstance(recipients, AlikeRecipients):
        return recipients.numbers
    return [one.number for one in recipients]
