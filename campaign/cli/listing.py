"""Rows on stdout: a table on a terminal, aligned plain lines everywhere else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NoReturn

import click
from rich.cells import cell_len
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from campaign.reports.cells import terminal_text


def print_rows(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under headings."""
    cells = _cells(rows)
    console = Console()
    if console.is_terminal:
        console.print(_table(headings, cells))
        return
    for line in aligned([list(headings), *cells]):
        click.echo(line)


def watch_rows(headings: Sequence[str], frames: Iterable[Sequence[Sequence[object]]]) -> NoReturn:
    """Show frame after frame until interrupted: in place on a terminal, else what is new."""
    console = Console()
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            for rows in frames:
                live.update(_table(headings, _cells(rows)), refresh=True)
    shown: set[str] = set()
    for rows in frames:
        lines = aligned([list(headings), *_cells(rows)])
        for line in lines:
            if line not in shown:
                click.echo(line)
        shown = set(lines)
    raise AssertionError("a watch ends by an interrupt only")


def _cells(rows: Sequence[Sequence[object]]) -> list[list[str]]:
    """Rows as text. What a device or a list wrote cannot drive the terminal."""
    return [["" if cell is None else terminal_text(str(cell)) for cell in row] for row in rows]


def _table(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    return table


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
