"""load report: a run that was kept, in any form."""

from __future__ import annotations

from pathlib import Path

import click

from campaign.cli.context import Context, json_option, pass_context
from campaign.errors import CampaignError
from campaign.load.keeping import read
from campaign.load.sheet import sheet_of
from campaign.reports.load_report import LoadFormat, load_report

_BY_ENDING = {".json": LoadFormat.JSON, ".csv": LoadFormat.CSV, ".html": LoadFormat.HTML}


@click.command(short_help="Show a run that was kept.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice([str(form) for form in LoadFormat]),
    help="Default: by -o's ending, else text. csv is the time series, one line a second.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Default: stdout."
)
@json_option
@pass_context
def report(context: Context, file: Path, form: str | None, output: Path | None) -> None:
    """Show the run that load run kept in FILE (--out).

    The HTML page stands alone: charts without scripts, no other file, no network.

    \b
    Example:
      campaign load report monday.load -o monday.html
    """
    chosen = LoadFormat(form) if form else _default(context, output)
    text = load_report(sheet_of(read(file)), chosen)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        with output.open("w", encoding="utf-8", newline="") as out:
            out.write(text)
    except OSError as error:
        raise CampaignError(
            f"the report cannot be written to {output}: {error.strerror}"
        ) from error
    context.say(f"written to {output}")


def _default(context: Context, output: Path | None) -> LoadFormat:
    if context.json:
        return LoadFormat.JSON
    return _BY_ENDING.get(output.suffix.lower() if output else "", LoadFormat.TEXT)
