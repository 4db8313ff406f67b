"""report: who exactly got it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from campaign.cli.context import Context, json_option, pass_context
from campaign.errors import CampaignError
from campaign.planner.states import RecipientState
from campaign.reports.report import FORMATS, format_for, write_report
from campaign.service.ledger import reading
from campaign.store.campaigns import get_campaign

_STATES = [state.value for state in RecipientState]


@click.command(short_help="Who exactly got it.")
@click.argument("name")
@click.option(
    "--format", "fmt", type=click.Choice(FORMATS), help="Default: by -o's ending, else table."
)
@click.option(
    "--state", "states", multiple=True, type=click.Choice(_STATES),
    help="Only recipients in this state; repeatable.",
)  # fmt: skip
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Default: stdout."
)
@json_option
@pass_context
def report(
    context: Context, name: str, fmt: str | None, states: tuple[str, ...], output: Path | None
) -> None:
    """The delivery report of a campaign, at any time.

    `--state unknown -o next.csv` gives a list to launch again.

    \b
    Example:
      campaign report spring-sale --format csv --state failed --state unknown -o again.csv
    """
    chosen = (
        fmt or ("json" if context.json else None) or (format_for(str(output)) if output else None)
    )
    chosen = chosen or "table"
    if chosen == "xlsx" and output is None:
        raise click.UsageError("--format xlsx needs -o FILE")
    with reading(context.site) as conn:
        campaign = get_campaign(conn, name)
        now = context.site.env.wall()
        if output is None:
            write_report(conn, campaign, chosen, states, sys.stdout.buffer, now)  # type: ignore[arg-type]  # click checked it
            return
        # a report is whole or not there: nobody hands on half of one
        fresh = output.with_name(output.name + ".new")
        try:
            with fresh.open("wb") as out:
                covered = write_report(conn, campaign, chosen, states, out, now)  # type: ignore[arg-type]  # click checked it
                out.flush()
                os.fsync(out.fileno())
            fresh.replace(output)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise CampaignError(
                f"the report cannot be written to {output}: {error.strerror}"
            ) from error
    context.say(f"{covered} recipients written to {output}")
