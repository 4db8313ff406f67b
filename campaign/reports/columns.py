"""Plain text in columns, for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def aligned(table: Sequence[Sequence[str]], sides: str) -> list[str]:
    """Columns of equal width, `l` or `r` for each (the rest left); the last is never padded."""
    if not table:
        return []
    widths = [max(map(_width, column)) for column in zip(*table, strict=True)]
    lines = []
    for cells in table:
        padded = [
            _padded(cell, width, side)
            for cell, width, side in zip(cells, widths, sides.ljust(len(widths), "l"), strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
    return lines


def _padded(cell: str, width: int, side: str) -> str:
    gap = " " * (width - _width(cell))
    return f"{gap}{cell}" if side == "r" else f"{cell}{gap}"


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
