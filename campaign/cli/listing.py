"""Rows on stdout: a table on a terminal, aligned plain lines everywhere else."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from campaign.reports.cells import terminal_text


def print_rows(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under headings. What a device or a list wrote cannot drive the terminal."""
    cells = [["" if cell is None else terminal_text(str(cell)) for cell in row] for row in rows]
    console = Console()
    if console.is_terminal:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in headings:
            table.add_column(heading, overflow="fold")
        for row in cells:
            table.add_row(*map(Text, row))
        console.print(table)
        return
    for line in aligned([list(headings), *cells]):
        click.echo(line)


def print_facts(facts: Sequence[tuple[str, object]]) -> None:
    """Print names and values, one pair a line; pairs without a value are left out."""
    told = [[name, terminal_text(str(value))] for name, value in facts if value not in (None, "")]
    for line in aligned(told):
        click.echo(line)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns two spaces apart, by the width characters have on a terminal."""
    if not rows:
        return []
    widths = [max(cell_len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
