"""load compare: runs that were kept, side by side."""

from __future__ import annotations

from pathlib import Path

import click

from campaign.cli.context import Context, json_option, pass_context
from campaign.env import seeded
from campaign.load.comparing import compare as compare_runs
from campaign.load.keeping import read
from campaign.load.sheet import comparison_sheet
from campaign.reports.load_export import comparison_json
from campaign.reports.load_text import comparison_lines

_SEED = 1
"""The same files give the same answer."""


@click.command(short_help="Kept runs side by side.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="A B…")
@json_option
@pass_context
def compare(context: Context, files: tuple[Path, ...]) -> None:
    """Every run against the first one: faster, slower, or no difference that their spread allows.

    Nothing is concluded from a run that is invalid or shorter than ten seconds.

    \b
    Example:
      campaign load compare monday.load tuesday.load
    """
    if len(files) < 2:
        raise click.UsageError("one run alone is compared with nothing: name two files or more")
    runs = [read(file) for file in files]
    sheet = comparison_sheet(runs, compare_runs(runs, seeded(_SEED)))
    if context.json:
        context.print_json(comparison_json(sheet))
        return
    for line in comparison_lines(sheet):
        click.echo(line)
