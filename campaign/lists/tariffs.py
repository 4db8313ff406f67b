"""Tariff files: a price for each prefix, a line each, as carriers hand them out."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from campaign.errors import UsageError

_MOST_LINES = 100_000


def read_tariff(path: Path) -> tuple[str, ...]:
    """The lines of a CSV file with the columns prefix and price as `PREFIX=PRICE` texts.

    A first line without a digit is a header. Raises `UsageError` that names the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return tuple(_pairs(path, csv.reader(file)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"the tariff {path} cannot be read: {error}") from error


def _pairs(path: Path, rows: Iterable[list[str]]) -> list[str]:
    pairs: list[str] = []
    for line, row in enumerate(rows, 1):
        cells = [cell.strip() for cell in row if cell.strip()]
        if not cells or (line == 1 and not any(c.isdigit() or c == "*" for c in "".join(cells))):
            continue
        if len(cells) != 2:
            raise UsageError(f"{path} line {line}: write prefix,price, as 8613,0.045")
        if line > _MOST_LINES:
            raise UsageError(f"{path} has more than {_MOST_LINES} lines: that is no tariff")
        pairs.append(f"{cells[0]}={cells[1]}")
    if not pairs:
        raise UsageError(f"{path} holds no price: write a line prefix,price for each prefix")
    return pairs
